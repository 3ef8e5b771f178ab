"""A log, a table of positions and a writer that follow a script: the loop without Kafka and without PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from reelsync.consumer.errors import FencedError
from reelsync.consumer.loop import BatchLoop
from reelsync.consumer.observer import Written
from reelsync.consumer.records import Anchor, Partition, Poll, Span
from reelsync.consumer.settings import DEFAULT_TOPICS, BatchSettings
from reelsync.consumer.sink.breaker import DeadLetterLimit
from reelsync.consumer.sink.delivery import Deliverer
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from tests.support.builders import record, video
from tests.support.observing import RecordingObserver

VIDEOS = Partition("video-events", 0)
COUNT = 20
"""How many records the log of a test has."""
_LIMITS = BatchSettings(linger_ms=0)


class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"the driver says {sqlstate}")
        self.sqlstate = sqlstate
        self.__cause__ = Exception(f"the server says {sqlstate}")


def refused_with(sqlstate: str) -> DBAPIError:
    """An error as SQLAlchemy raises it, with a SQLSTATE of the server's."""
    return DBAPIError("INSERT", {}, _ServerError(sqlstate))


class Database:
    """Positions as they are stored, and what was applied: each offset as often as it was.

    `script` holds what happens to the next transactions: an error that is raised before anything is stored, `"lost
    reply"` for one that is raised after all is stored, or a function that is called first.
    """

    def __init__(self, *script: Any) -> None:
        self.position = 0
        self.fenced = True
        self.applied: list[int] = []
        self.parked: list[int] = []
        self.transactions: list[int] = []
        self.careful: list[bool] = []
        self.too_slow: list[bool] = []
        self.script = [*script]
        self.questions: list[Exception] = []
        """What the next questions for positions fail with."""
        self.attempted = Written()
        self._moved = asyncio.Event()

    async def write(self, batch: Batch, *, carefully: bool = False, too_slow: bool = False) -> Written:
        self.transactions.append(batch.count)
        self.careful.append(carefully)
        self.too_slow.append(too_slow)
        self.attempted = Written(rejections=list(batch.rejections))
        step = self.script.pop(0) if self.script else None
        if callable(step):
            step = step()
        if isinstance(step, Awaitable):
            await step
            step = None
        if isinstance(step, Exception):
            raise step
        if self.fenced and batch.spans[VIDEOS].start != self.position:
            raise FencedError("the position is another")
        self.position = batch.spans[VIDEOS].next
        self._moved.set()
        self.applied += [each.offset for each in batch.records]
        self.parked += [rejection.record.offset for rejection in batch.rejections]
        if step == "lost reply":
            raise ConnectionResetError
        return self.attempted

    async def applies(self, count: int, until: Callable[[], bool]) -> None:
        """Wait until so many records are applied, and `until` holds."""
        while not (self.position == count and until()):
            self._moved.clear()
            await self._moved.wait()

    def forget(self) -> None:
        pass

    async def next_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        if self.questions:
            raise self.questions.pop(0)
        return dict.fromkeys(partitions, self.position)


class Log:
    """A source of `count` records of one partition, a few at a time. `script` holds what happens to the next polls."""

    def __init__(self, database: Database, count: int, *script: Any, at_once: int = 4) -> None:
        self.drain: Callable[[], Awaitable[None]] | None = None
        self.epoch = 1
        self.forgotten = 0
        self.left = False
        self.committed_to_kafka: dict[Partition, int] = {}
        self.script = [*script]
        self._database = database
        self._records = [record(video("progressed", version=n + 1, progress=1), offset=n) for n in range(count)]
        self._at_once = at_once
        self._position: int | None = None

    def poison(self, *offsets: int) -> "Log":
        """These records are no events."""
        for offset in offsets:
            self._records[offset] = record(b"not json", offset=offset)
        return self

    @property
    def positions(self) -> Mapping[Partition, int]:
        return {} if self._position is None else {VIDEOS: self._position}

    def lags(self) -> dict[Partition, int]:
        return {} if self._position is None else {VIDEOS: len(self._records) - self._position}

    def fetch_only(self, partitions: Collection[Partition]) -> None:
        pass

    async def poll(self, max_records: int, _partitions: Collection[Partition]) -> Poll:
        step = self.script.pop(0) if self.script else None
        if callable(step):
            step = step()
        if isinstance(step, Awaitable):
            await step
        if isinstance(step, Exception):
            self._position = None
            self.epoch += 1
            raise step
        if self._position is None:
            self._position = (await self._database.next_offsets([VIDEOS]))[VIDEOS]
        await asyncio.sleep(0)
        start = self._position
        taken = self._records[start : start + min(max_records, self._at_once)]
        if not taken:
            await asyncio.sleep(0.001)  # as a poll that finds nothing takes its time
            return Poll(self.epoch, [], {}, {})
        self._position = start + len(taken)
        return Poll(self.epoch, taken, {VIDEOS: Span(start, self._position)}, {VIDEOS: taken[-1]})

    async def rebalance(self) -> None:
        """As aiokafka does it: what was revoked is drained first, and then all begins from the stored positions."""
        if self.drain:
            await self.drain()
        self.forget()

    async def confirm(
        self, epoch: int, _partitions: Collection[Partition], _anchors: Mapping[Partition, Anchor]
    ) -> None:
        if epoch != self.epoch:
            raise FencedError("its partitions were assigned again meanwhile")

    def forget(self) -> None:
        self.forgotten += 1
        self.epoch += 1
        self._position = None

    def commit_later(self, positions: Mapping[Partition, int]) -> None:
        self.committed_to_kafka.update(positions)

    async def leave(self) -> None:
        self.left = True


def loop_of(log: Log, database: Database, observer: Any, **options: Any) -> BatchLoop:
    deliverer = Deliverer(
        writer=database,
        ledger=database,
        limit=DeadLetterLimit(1_000, 10, 0.5),
        observer=observer,
        is_current=lambda epoch: epoch == log.epoch,
    )
    return BatchLoop(log, deliverer, observer, decoder(DEFAULT_TOPICS, 10_000), _LIMITS, **options)


async def consume(
    log: Log, database: Database, observer: Any = None, until: Callable[[], bool] = lambda: True, **options: Any
) -> BatchLoop:
    """Run the loop until all is applied, and `until` holds, and then tell it to stop."""
    stop = asyncio.Event()
    loop = loop_of(log, database, observer or RecordingObserver(), **options)
    running = asyncio.create_task(loop.run(stop))
    applied = asyncio.create_task(database.applies(COUNT, until))
    async with asyncio.timeout(20):
        await asyncio.wait({running, applied}, return_when=asyncio.FIRST_COMPLETED)
        applied.cancel()
        stop.set()
        await running
    assert log.left
    return loop
