"""Child processes that end with their parent, however it ends."""

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_UNPRIVILEGED = "nobody"


class ServiceError(RuntimeError):
    """An embedded service cannot run here; says why, and what to do."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged_user() -> str | None:
    """The user to run servers as that refuse to run as root; None when we are not root."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def give_to(path: Path, user: str | None) -> None:
    """Make a directory the user's own; nothing to do for None."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a server whose output goes to `log`. On Linux it gets `death_signal` when the calling thread ends.

    Call it from the thread that outlives the server: the main one.
    """

    def die_with_parent() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=dict(env) if env is not None else None,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no other thread runs yet when servers start
        )


def wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, seconds: float) -> None:
    """Wait for the server to answer.

    Raises:
        ServiceError: it ended, or did not answer in time; shows the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            what = "did not answer in time" if process.poll() is None else f"ended with code {process.returncode}"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise ServiceError(f"{Path(str(process.args[0])).name} {what}. Its last words:\n{tail}")  # type: ignore[index]
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether somebody listens on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float = 10) -> None:
    """Ask the server to end, and see that it does."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
