"""Python processes that are forked from one which has imported the consumer: importing takes longer than most tests."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "tests.support.preloaded"])


class ForkedProcess:
    """`python COMMAND…` without the start of Python; the part of `subprocess.Popen` that tests use.

    Args:
        command: `-m`, a module and its arguments, or the path of a script and its arguments.
        env: All its variables. What Python reads at its start is too late, except PYTHONIOENCODING.
        stdout: A file descriptor; ours if None.
        stderr: A file descriptor, or `subprocess.PIPE`.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], *, stderr: int, stdout: int | None = None
    ) -> None:
        self.stderr: IO[str] | None = None
        if stderr == subprocess.PIPE:
            reading, stderr = os.pipe()
            self.stderr = os.fdopen(reading, encoding="utf-8", errors="backslashreplace")
        given = {number: _passed(end) for number, end in ((1, stdout), (2, stderr)) if end is not None}
        self._child = _FORKS.Process(target=_run, args=(list(command), dict(env), given))
        self._child.start()
        for end in given.values():
            end.close()
        if self.stderr:
            os.close(stderr)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child.pid is not None
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """How it ended: its exit code, or the signal as a negative number."""
        return self._child.exitcode

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._child.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has."""
        self._child.join(timeout)
        if self._child.exitcode is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return self._child.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[None, str]:
        """Wait for its end: what it still wrote to its standard error. What takes longer than `timeout` is killed."""
        if self.stderr is None or self.stderr.closed:
            self.wait(timeout)
            return None, ""
        with self.stderr, ThreadPoolExecutor(1) as pool:
            said = pool.submit(self.stderr.read)
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return None, said.result()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        # Its parent, which is another process, may know of its end before this one.
        with suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self.send_signal(signal.SIGKILL)


def _passed(end: int) -> Connection:
    """A file descriptor in the form that can be given to another process."""
    return Connection(os.dup(end), readable=False)


def _run(command: list[str], env: dict[str, str], given: dict[int, Connection]) -> None:
    """What `python COMMAND…` does, in a process that was made for it alone."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    for number, end in given.items():
        os.dup2(end.fileno(), number)
        end.close()
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    # They are open until the process ends.
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    if command[0] == "-m":
        sys.argv = command[1:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
