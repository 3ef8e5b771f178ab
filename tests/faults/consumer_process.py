"""A consumer as a process, and what it logs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from reelsync.consumer.settings import Settings
from tests.support.forked import ForkedProcess
from tests.support.processes import ROOT, environment


class ConsumerProcess:
    """`reelsync run` as a process; what it logs can be asked for."""

    def __init__(self, settings: Settings, log: Path, *command: str, stderr: int | None = None, **extra: str) -> None:
        """Start it; with other variables, and with a file of the test's own for what it logs."""
        json_logs = settings.model_copy(update={"log": settings.log.model_copy(update={"format": "json"})})
        self._log = log
        arguments = command or ("-m", "reelsync.consumer", "run")
        env = environment(json_logs) | extra
        # What is read, or done, when Python starts cannot be given to a process that is forked.
        starts_python = stderr is not None or "LD_PRELOAD" in extra or arguments[0] == "-c"
        with log.open("ab") as output:
            written_to = output.fileno() if stderr is None else stderr
            self._process: ForkedProcess | subprocess.Popen[bytes] = (
                subprocess.Popen([sys.executable, *arguments], env=env, cwd=ROOT, stderr=written_to)
                if starts_python
                else ForkedProcess(arguments, env, stderr=written_to)
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does, and see that it did."""
        self._process.kill()
        assert self._process.wait(30) == -signal.SIGKILL

    def end(self) -> None:
        """See to it that it is gone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(30)

    def count(self, event: str, **having: object) -> int:
        """How many lines of its log are about this event and have these values."""
        return sum(
            line.get("event") == event and all(line.get(name) == value for name, value in having.items())
            for line in self._lines()
        )

    def latest(self, event: str, name: str, **having: object) -> Any:
        """A value of the latest line about this event that has these values."""
        lines = [line for line in self._lines() if line.get("event") == event and having.items() <= line.items()]
        return lines[-1][name]

    def lines(self, event: str, reason: str) -> list[dict[str, Any]]:
        """The lines about this event that have this reason."""
        return [line for line in self._lines() if line.get("event") == event and line.get("reason") == reason]

    def mentions(self, event: str, error: str) -> int:
        """How many lines about this event have this in their error."""
        return sum(line.get("event") == event and error in str(line.get("error", "")) for line in self._lines())

    def said(self) -> str:
        """The end of its log, for messages."""
        return self._log.read_text()[-3_000:]

    def _lines(self) -> Iterator[dict[str, object]]:
        for line in self._log.read_bytes().splitlines():
            if line.startswith(b"{") and line.endswith(b"}"):
                yield orjson.loads(line)
