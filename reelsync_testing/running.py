"""A consumer that runs inside a test, and waiting for facts (positions and rows), never for a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from sqlalchemy import text

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import KafkaFailedError, UnavailableError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition, partitions_of
from reelsync.consumer.settings import Settings

DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.02
PARTITIONS = 3
"""The number of partitions of each topic that the fixtures make."""
TABLES = ("users", "user_profiles", "videos", "model_usage")


@asynccontextmanager
async def consuming(settings: Settings) -> AsyncIterator[Consumer]:
    """A running consumer. Its errors are raised in the test."""
    consumer = Consumer(settings)
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await running


async def publish(
    settings: Settings, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], **options: object
) -> None:
    """Send (key, value) pairs to a topic, partitioned by key; `options` are the producer's."""
    bootstrap_servers = settings.kafka.bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", linger_ms=2, **options)
    await producer.start()
    try:
        await asyncio.gather(*[await producer.send(topic, value, key=key) for key, value in records])
    finally:
        await producer.stop()


def topic_of(settings: Settings, aggregate: str) -> str:
    """The topic about this aggregate."""
    return next(topic for topic, about in settings.kafka.topics.items() if about == aggregate)


async def eventually(fact: Callable[[], Awaitable[object]], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `fact` is true.

    Raises:
        AssertionError: it was not true within so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not await fact():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(_POLL_SECONDS)


async def until_applied(settings: Settings, still_running: Callable[[], object] = lambda: None) -> None:
    """Wait until the stored positions are the ends that the topics have now.

    `still_running` raises an error if that can no longer happen.

    Raises:
        AssertionError: it takes longer than DEADLINE_SECONDS.
    """
    ends: dict[Partition, int] = {}

    async def answered() -> bool:
        try:
            ends.update(await _ends_of(settings))
        except (UnavailableError, KafkaFailedError):  # The broker may have come back only now.
            return False
        return True

    await eventually(answered, "the brokers say where the topics end")
    engine = engine_of(settings.database)
    ledger = Ledger(engine, settings.kafka.group_id)

    async def caught_up() -> bool:
        still_running()
        stored = await ledger.next_offsets(ends)
        return all(stored.get(partition, 0) >= end for partition, end in ends.items())

    try:
        await eventually(caught_up, "all records applied")
    finally:
        await engine.dispose()


async def _ends_of(settings: Settings) -> dict[Partition, int]:
    log = KafkaLog(settings.kafka)
    _, counts = await log.cluster()
    partitions = partitions_of({topic: counts.get(topic, 0) for topic in settings.kafka.topics})
    return {partition: end for partition, (_, end) in (await log.ranges(partitions)).items()}


async def rows_of(settings: Settings, table: str, order: str = "1") -> list[dict[str, object]]:
    """All rows of a table."""
    engine = engine_of(settings.database)
    try:
        async with engine.connect() as connection:
            found = await connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}"))
            return [dict(row) for row in found.mappings()]
    finally:
        await engine.dispose()


async def tables_of(settings: Settings) -> dict[str, list[dict[str, object]]]:
    """All rows of the tables that events are merged into."""
    return {table: await rows_of(settings, table) for table in TABLES}
