"""What a worker tells its supervisor, over a pair of sockets that nobody else has.

A question is a number. An answer is that number with what the worker knows of itself. At its end a worker says so
unasked. Answers are pickled, as multiprocessing does it: both ends are the same code, of the same user.
"""

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from reelsync.consumer.status.snapshot import Report

_NUMBER = struct.Struct("!I")
_UNASKED = 0
_FAREWELL_SECONDS = 2.0


class Answer(NamedTuple):
    """What a worker said. `refusal`: why it must not go on, for people."""

    question: int
    report: Report | None
    refusal: str | None = None


class Asked:
    """The worker's end."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.report: Callable[[], Report | None] = lambda: None
        """What is answered with. Before there is anything to tell, that alone is an answer."""
        self.refusal: str | None = None
        """Set it when the worker must not be started again."""

    async def answer(self, question: int) -> None:
        """Send a report, and wait until it is on its way."""
        answer = pickle.dumps(Answer(question, self.report(), self.refusal), pickle.HIGHEST_PROTOCOL)
        self._writer.write(_NUMBER.pack(len(answer)) + answer)
        await self._writer.drain()


@asynccontextmanager
async def asked(channel: socket.socket) -> AsyncIterator[Asked]:
    """Answer the supervisor's questions during the block, and say what there is to say at its end."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    worker = Asked(writer)
    answering = asyncio.create_task(_answer_all(reader, worker))
    try:
        yield worker
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(worker.answer(_UNASKED), _FAREWELL_SECONDS)
        writer.close()


async def _answer_all(reader: asyncio.StreamReader, worker: Asked) -> None:
    """Until the supervisor is gone; what follows from that is not decided here."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            (question,) = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))
            await worker.answer(question)


def ask(writer: asyncio.StreamWriter, question: int) -> None:
    """Send a question, from 1."""
    writer.write(_NUMBER.pack(question))


async def answers(reader: asyncio.StreamReader) -> AsyncIterator[Answer]:
    """What the worker says, until it is gone."""
    with suppress(asyncio.IncompleteReadError, OSError):
        while True:
            (length,) = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))
            answer: Answer = pickle.loads(await reader.readexactly(length))  # noqa: S301 - from our own child
            yield answer
