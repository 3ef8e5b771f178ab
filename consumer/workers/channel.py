"""The reports of a worker to its supervisor, over a private pair of sockets.

A question is a number. An answer is that number with the worker's report. At its end a worker sends a last report
without a question. Answers are pickled, as multiprocessing does it: both ends are the same code of the same user.
"""

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

from reelsync.consumer.background import CountFailure, Task, report_failure, running
from reelsync.consumer.status.snapshot import Report

_NUMBER = struct.Struct("!I")
_UNASKED = 0
_FAREWELL_SECONDS = 2.0


class Answer(NamedTuple):
    """An answer of a worker. `refusal`: why it must not be started again, in words."""

    question: int
    report: Report | None
    refusal: str | None = None


class Asked:
    """The worker's end."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.report: Callable[[], Report | None] = lambda: None
        """Makes the report. While it is None, an answer only shows that the worker runs."""
        self.count_failure: CountFailure = lambda _: None
        self.refusal: str | None = None
        """Set it when the worker must not be started again."""

    def task_failed(self, task: Task) -> None:
        """Count the failure, once the metrics exist."""
        self.count_failure(task)

    async def answer(self, question: int) -> None:
        """Send a report, and wait until it is written to the socket."""
        answer = self._answer(question)
        self._writer.write(_NUMBER.pack(len(answer)) + answer)
        await self._writer.drain()

    def _answer(self, question: int) -> bytes:
        try:
            return pickle.dumps(Answer(question, self.report(), self.refusal), pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001 - a worker without an answer would be killed, and it consumes
            report_failure("reports", error, self.count_failure)
            return pickle.dumps(Answer(question, None, self.refusal), pickle.HIGHEST_PROTOCOL)


@asynccontextmanager
async def asked(channel: socket.socket) -> AsyncIterator[Asked]:
    """Answer the supervisor's questions during the block, and send a last report at its end."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    worker = Asked(writer)
    try:
        async with running({"reports": partial(_answer_all, reader, worker)}, worker.task_failed):
            yield worker
    finally:
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(worker.answer(_UNASKED), _FAREWELL_SECONDS)
        writer.close()


async def _answer_all(reader: asyncio.StreamReader, worker: Asked) -> None:
    """Answer until the supervisor is gone. `lifeline` decides what happens then."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            (question,) = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))
            await worker.answer(question)


def ask(writer: asyncio.StreamWriter, question: int) -> None:
    """Send a question, from 1."""
    writer.write(_NUMBER.pack(question))


async def answers(reader: asyncio.StreamReader) -> AsyncIterator[Answer]:
    """The worker's answers, until it is gone."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            (length,) = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))
            answer: Answer = pickle.loads(await reader.readexactly(length))  # noqa: S301 - from our own child
            yield answer
