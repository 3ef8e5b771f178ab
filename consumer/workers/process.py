"""One worker process: starting it, asking it for reports, and ending it."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Self

from reelsync.consumer.background import CountFailure, keep_running
from reelsync.consumer.status.snapshot import Report

from .channel import answers, ask

_PACKAGES = Path(__file__).parents[3]
"""The directory that the worker must import from: the same as ours, whatever the working directory contains."""
_LAST_REPORT_SECONDS = 5.0
_CHUNK = 65_536


class WorkerProcess:
    """A running worker, and its latest report. Times are those of the monotonic clock, in seconds."""

    def __init__(
        self,
        number: int,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        count_failure: CountFailure,
    ) -> None:
        self.number = number
        self.pid = process.pid
        self.report: Report | None = None
        self.refusal: str | None = None
        """Why it must not be started again."""
        self.answered_at = self.live_at = self.started_at = time.monotonic()
        """When it answered last; when it last reported that it is not stuck."""
        self.unanswered = 0
        """Questions in a row without an answer in time."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._questions = 0
        self._answered = 0
        self._received = asyncio.Condition()
        self._listening = asyncio.create_task(keep_running("reports", self._listen, count_failure))
        self._relaying: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, number: int, count_failure: CountFailure, relay: Callable[[bytes], None] | None = None
    ) -> Self:
        """Start the worker of this number. It reads the settings as this process did.

        Args:
            number: In its logs, and in the status.
            count_failure: Called when one of the tasks that follow the worker fails.
            relay: Gets each line that it logs; without, they go where ours go.

        Raises:
            OSError: it cannot be started.
        """
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as unless_started:
            unless_started.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "reelsync.consumer", "worker", str(number), str(theirs.fileno())),
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=PIPE if relay else None,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, _search_path()))},
                # Ctrl-C in a terminal reaches the supervisor alone, which stops its workers.
                start_new_session=True,
            )
            unless_started.pop_all()
        worker = cls(number, process, *await asyncio.open_unix_connection(sock=ours), count_failure)
        if relay and process.stderr:
            work = partial(_relay, process.stderr, relay)
            worker._relaying = asyncio.create_task(keep_running("worker_logs", work, count_failure))
        return worker

    async def ask(self, seconds: float) -> None:
        """Ask for a report, and wait for it for so many seconds."""
        self._questions += 1
        question = self._questions
        if not self._writer.is_closing():
            ask(self._writer, question)
        try:
            async with asyncio.timeout(seconds), self._received:
                await self._received.wait_for(lambda: self._answered >= question or self._listening.done())
        except TimeoutError:
            self.unanswered += 1

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end and its last report. Returns its exit code, or minus the signal that ended it."""
        code = await self._process.wait()
        last = {task for task in (self._listening, self._relaying) if task}
        await asyncio.wait(last, timeout=_LAST_REPORT_SECONDS)
        for task in last:
            task.cancel()
        self._writer.close()
        return code

    async def _listen(self) -> None:
        async for answer in answers(self._reader):
            self.answered_at, self.unanswered = time.monotonic(), 0
            self.report = answer.report or self.report
            self.refusal = answer.refusal
            if not (answer.report and answer.report.not_live):
                self.live_at = self.answered_at
            async with self._received:
                self._answered = max(self._answered, answer.question)
                self._received.notify_all()
        async with self._received:
            self._received.notify_all()


async def _relay(lines: asyncio.StreamReader, relay: Callable[[bytes], None]) -> None:
    rest = b""
    while chunk := await lines.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            relay(line)
    if rest:
        # A process that dies of a signal or a fatal error may not end its last line, which says why.
        relay(rest)


def _search_path() -> list[str]:
    return [str(_PACKAGES), os.environ.get("PYTHONPATH", "")]
