"""A server as a child process: started, watched, and stopped even if this process is killed."""

import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from reelsync.consumer.errors import ReelsyncError

# The guard holds the read end of a pipe that the kernel closes when this process ends, however it ends. It then kills
# the server and removes its files. (PR_SET_PDEATHSIG would be Linux only, and fires when the starting *thread* ends.)
_GUARD = """
read -r _
kill -s "$1" "$2" 2>/dev/null
tries=0
while kill -0 "$2" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
[ -z "$3" ] || rm -rf -- "$3"
"""
_LOG_LINES = 15
_POLL_SECONDS = 0.01


class ServiceError(ReelsyncError):
    """An embedded server could not be run here."""


class Account:
    """The user and group id of a child that does not run as this process's user."""

    def __init__(self, uid: int, gid: int) -> None:
        self.uid = uid
        self.gid = gid


class ChildServer:
    """A running server in a session of its own, so that Ctrl-C in a terminal reaches this process only.

    Args:
        command: The program and its arguments.
        log: Where its output goes, appended.
        orphan_signal: What it gets, by name ("KILL"), if this process ends without `stop`.
        orphan_remove: What is removed after that.
        env: Its environment; ours if None.
        account: Whom it runs as; us if None.
    """

    def __init__(  # noqa: PLR0913 - each says one thing about the process
        self,
        command: Sequence[str],
        *,
        log: Path,
        orphan_signal: str,
        orphan_remove: Path | None = None,
        env: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._server: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
                **as_account(account),
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", orphan_signal, str(self.pid), str(orphan_remove or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._server.pid

    def wait_until(self, ready: Callable[[], bool], name: str, timeout: float) -> Self:
        """Wait until the server is ready.

        Raises:
            ServiceError: it ended, or was not ready within `timeout` seconds; with the last lines of its log. It is
                stopped.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            code = self._server.poll()
            if code is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                fate = f"was not ready after {timeout:g} s" if code is None else f"ended with status {code}"
                raise ServiceError(f"the embedded {name} {fate}. The end of its log:\n{last_lines(self._log)}")
            time.sleep(_POLL_SECONDS)
        return self

    def stop(self, how: signal.Signals, timeout: float = 10.0) -> None:
        """Send a signal and wait; kill it if it has not ended after `timeout` seconds. May be called again."""
        if self._server.poll() is None:
            self._server.send_signal(how)
            self._server.send_signal(signal.SIGCONT)
        self._guard.kill()
        try:
            self._server.wait(timeout)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._guard.communicate()


def as_account(account: Account | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a child with the rights of that account."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def last_lines(log: Path) -> str:
    """The end of a log, indented, for an error message."""
    lines = log.read_text("utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"    {line}" for line in lines[-_LOG_LINES:]) or "    (empty)"


def free_port() -> int:
    """A free TCP port of 127.0.0.1, below the range from which systems take ports for outgoing connections.

    A port in that range could be given to a client that keeps trying to reach the stopped server: it would connect to
    itself.
    """
    while not is_free(port := random.SystemRandom().randrange(15_000, 32_000)):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether nothing listens on this TCP port of 127.0.0.1."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_posix(name: str) -> None:
    """Refuse Windows, which has neither the guard process nor the signals.

    Raises:
        ServiceError: this is Windows.
    """
    if sys.platform == "win32":
        raise ServiceError(f"the embedded {name} does not run on Windows: use WSL, or servers of your own")
