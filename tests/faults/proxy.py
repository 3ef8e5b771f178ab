"""A TCP proxy that breaks connections in the ways networks and servers do. It runs in a thread of its own."""

import asyncio
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Self

from sqlalchemy import make_url

_CHUNK = 65_536
_KAFKA_OFFSET_COMMIT = 8
_POSTGRES_COMMIT_DONE = b"C\x00\x00\x00\x0bCOMMIT\x00"
"""The CommandComplete message of a COMMIT. Source: PostgreSQL documentation, "Message Formats"."""


@contextmanager
def database_proxy(url: str) -> Iterator["TcpProxy"]:
    """A proxy before the server of this URL."""
    server = make_url(url)
    with TcpProxy() as proxy:
        proxy.target = (str(server.host), int(server.port or 0))
        yield proxy


class TcpProxy:
    """Passes bytes between 127.0.0.1:`port` and a server, until it is told to do otherwise.

    `happened` counts each kind of fault that was really inflicted: a test asserts on it.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.target = ("127.0.0.1", 0)
        """Host and port of the server; may be set after the start."""
        self.happened: Counter[str] = Counter()
        self._black_hole = False
        self._lose_every_commit_reply = 0
        self._commits = 0
        self._offset_commits_pass = asyncio.Event()
        self._offset_commits_pass.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._doomed: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._call(self._listen).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> int:
        """Break every connection, as a reset does; how many there were."""

        async def cut() -> int:
            writers = list(self._writers)
            for writer in writers:
                writer.transport.abort()
            return len(writers)

        cut_now = self._call(cut).result(10)
        self.happened["cut"] += cut_now
        return cut_now

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Swallow all bytes in both directions. Connections of that time stay dead; those made later work."""
        self._black_hole = True
        try:
            yield
        finally:
            self._black_hole = False

    @contextmanager
    def losing_commit_replies(self, every: int) -> Iterator[None]:
        """Break every nth connection to PostgreSQL between a COMMIT and its reply: done, and nobody knows."""
        self._lose_every_commit_reply = every
        try:
            yield
        finally:
            self._lose_every_commit_reply = 0

    @contextmanager
    def hanging_offset_commits(self) -> Iterator[None]:
        """Hold back OffsetCommit requests to Kafka, and with them whatever follows on their connection."""
        self._loop.call_soon_threadsafe(self._offset_commits_pass.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._offset_commits_pass.set)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream_writer}
        try:
            passing = [
                asyncio.create_task(self._pass_requests(reader, upstream_writer)),
                asyncio.create_task(self._pass_replies(upstream_reader, writer)),
            ]
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
        finally:
            self._writers -= {writer, upstream_writer}
            writer.transport.abort()
            upstream_writer.transport.abort()

    async def _pass_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            while not self._offset_commits_pass.is_set() and _is_offset_commit(chunk):
                self.happened["hanging commit"] += 1
                await self._offset_commits_pass.wait()
                self.happened["released commit"] += 1
            await self._forward(chunk, writer)

    async def _pass_replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if self._lose_every_commit_reply and _POSTGRES_COMMIT_DONE in chunk:
                self._commits += 1
                if self._commits % self._lose_every_commit_reply == 0:
                    self.happened["lost commit reply"] += 1
                    return
            await self._forward(chunk, writer)

    async def _forward(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        if self._black_hole or writer in self._doomed:
            self._doomed.add(writer)
            self.happened["swallowed"] += 1
            return
        writer.write(chunk)
        await writer.drain()

    def _call(self, function: Callable[[], object]) -> "Future[int]":
        return asyncio.run_coroutine_threadsafe(function(), self._loop)


def _is_offset_commit(chunk: bytes) -> bool:
    """Whether a Kafka request of that kind begins the chunk. Source: Kafka protocol guide, request header."""
    return len(chunk) >= 6 and struct.unpack_from(">h", chunk, 4)[0] == _KAFKA_OFFSET_COMMIT
