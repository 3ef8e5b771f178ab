"""A campaign: records flow, consumers run as processes, faults strike, and an independent oracle judges."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from demo.day import TOPICS, DayRecord, generate_day
from demo.verify import verify
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.effects import effects_of
from tests.faults.outcomes import Outcome
from tests.support.running import eventually, topic_of

LONG = os.environ.get("FAULTS", "short") == "long"
ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or (20 if LONG else 3))
FEW_ROUNDS = ROUNDS if LONG else 1
"""Of faults that take long."""
SEEDS = [int(seed) for seed in (os.environ.get("FAULTS_SEEDS") or ("1 2 3 4 5" if LONG else "1")).split()]
AT_THE_FENCE = (
    "datname = current_database() AND usename = 'reelsync_run' "
    "AND wait_event_type = 'Lock' AND query ILIKE '%UPDATE consumer_offsets%'"
)
_POISON_EVERY = 5


@dataclass
class Campaign:
    """One log of records, and what strikes while it is consumed."""

    settings: Settings
    operator: AsyncConnection
    directory: Path
    seed: int = 1
    producer_options: dict[str, object] = field(default_factory=dict)
    recoveries: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        topics = {topic: topic_of(self.settings, aggregate) for aggregate, topic in TOPICS.items()}
        self._waiting = [record._replace(topic=topics[record.topic]) for record in _with_poison(self.seed)][::-1]
        self._published: list[DayRecord] = []
        self.ends: dict[Partition, int] = {}
        """Where each partition ends, by what the brokers acknowledged."""
        self._numbers = iter(range(1_000_000))

    @contextmanager
    def consumer(
        self, *command: str, settings: Settings | None = None, stderr: int | None = None, **extra: str
    ) -> Iterator[ConsumerProcess]:
        """A consumer in the group. Gone at the end of the block."""
        log = self.directory / f"consumer-{next(self._numbers)}.log"
        process = ConsumerProcess(settings or self.settings, log, *command, stderr=stderr, **extra)
        try:
            yield process
        finally:
            process.end()

    async def publish(self, count: int) -> None:
        """Publish the next records. Returns when the broker has them all."""
        async with self._producer() as producer:
            records = [self._waiting.pop() for _ in range(count)]
            for first in range(0, count, 500):
                chunk = records[first : first + 500]
                acks = [await self._send(producer, record) for record in chunk]
                for stored in await asyncio.gather(*acks):
                    partition = Partition(stored.topic, stored.partition)
                    self.ends[partition] = max(self.ends.get(partition, 0), stored.offset + 1)
                self._published += chunk

    @asynccontextmanager
    async def flow(self, count: int) -> AsyncIterator[None]:
        """Records are being published during the block, and have been at its end."""
        publishing = asyncio.create_task(self.publish(count))
        try:
            yield
        finally:
            await publishing

    @asynccontextmanager
    async def held_back(self) -> AsyncIterator[None]:
        """During the block nobody gets past the fence: its rows are locked by somebody else."""
        engine = create_async_engine(self.operator.engine.url, poolclass=NullPool)
        async with engine.connect() as holder:
            query = text("SELECT count(*) FROM (SELECT FROM consumer_offsets FOR UPDATE) AS held")
            assert await holder.scalar(query), "there is no position to lock"
            yield
        await engine.dispose()

    async def waits_at_the_fence(self) -> bool:
        """Whether some transaction waits to move its positions."""
        return bool(await self.operator.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {AT_THE_FENCE}")))

    async def progress(self, records: int) -> None:
        """Wait until so many more records have been applied."""
        goal = sum((await self._stored()).values()) + records

        async def moved() -> bool:
            return sum((await self._stored()).values()) >= goal

        await eventually(moved, f"{records} more records applied", 120)

    async def apply(self, count: int) -> None:
        """Publish the next records, and wait until they are applied: no fault is under way."""
        await self.publish(count)
        await self.all_applied()

    async def recover(self) -> None:
        """Wait until all that was published is applied, and keep how long that took after the fault."""
        started = time.monotonic()
        await self.all_applied()
        self.recoveries.append(time.monotonic() - started)

    async def all_applied(self, besides: Collection[Partition] = ()) -> None:
        """Wait until all that was published is applied, perhaps without some partitions."""

        async def applied() -> bool:
            stored = await self._stored()
            return all(stored.get(p, 0) >= end for p, end in self.ends.items() if p not in besides)

        await eventually(applied, "all that was published applied", 180)

    def continue_with(self, chosen: Callable[[DayRecord], bool]) -> None:
        """Publish the chosen records before the others."""
        self._waiting.sort(key=chosen)

    def enlarge(self, count: int, size: int) -> None:
        """Make poison of so many bytes of the records that are published next."""
        poison = (b"poison %d " % number + b"x" * size for number in range(count))
        chosen = zip(self._waiting[-count:], poison, strict=True)
        self._waiting[-count:] = [r._replace(value=value, headers=(), expected="not_json") for r, value in chosen]

    async def stays_silent(self, seconds: float) -> None:
        """See that for so long nothing is applied."""
        before = await self._stored()
        deadline = time.monotonic() + seconds

        async def is_over() -> bool:
            assert await self._stored() == before, "records were applied during the outage"
            return time.monotonic() >= deadline

        await eventually(is_over, "the outage lasts", seconds + 30)

    async def reconnect(self) -> None:
        """Look at the database by a new connection: the old one was lost with the server."""
        await self.operator.invalidate()
        await self.operator.rollback()

    async def judge(self, fault: str, happened: int) -> Outcome:
        """Compare effects and rows with what was published."""
        lost, doubled = await effects_of(self.operator, self.ends)
        wrong = await verify(self.operator, self._published)
        return Outcome(fault, self.seed, len(self._published), happened, lost, doubled, wrong, self.recoveries)

    @asynccontextmanager
    async def _producer(self) -> AsyncIterator[AIOKafkaProducer]:
        bootstrap_servers = self.settings.kafka.bootstrap_servers
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers,
            acks="all",
            linger_ms=2,
            max_request_size=2_000_000,
            **self.producer_options,
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, record: DayRecord) -> object:
        return await producer.send(
            record.topic,
            record.value,
            key=record.key,
            headers=list(record.headers),
            timestamp_ms=record.timestamp_ms,
        )

    async def _stored(self) -> dict[Partition, int]:
        query = text(
            "SELECT topic, partition, next_offset FROM consumer_offsets WHERE consumer_group = :consumer_group"
        )
        rows = await self.operator.execute(query, {"consumer_group": self.settings.kafka.group_id})
        return {Partition(topic, partition): next_offset for topic, partition, next_offset in rows}


def _with_poison(seed: int, events: int = 8_000) -> Sequence[DayRecord]:
    """A day whose every fifth record is poison of its own, so that an effect too many cannot hide in a merge."""
    records: list[DayRecord] = []
    for number, record in enumerate(generate_day(seed, events).records):
        records.append(record)
        if number % _POISON_EVERY == 0:
            poison = b"poison %d" % number
            records.append(record._replace(value=poison, headers=(), expected="not_json"))
    return records
