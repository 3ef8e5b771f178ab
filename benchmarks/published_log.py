"""A workload on the servers: its topic, and a database to copy that knows what the rows must be in the end."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.expected import prepare_database
from benchmarks.servers import Servers, fresh_name
from benchmarks.workloads import LogRecord, Workload
from reelsync.testing.servers.topics import create_topics

_BATCH_BYTES = 262_144
_IN_FLIGHT = 32
_FOR_EVER = {"retention.ms": "-1"}


@dataclass(frozen=True)
class PublishedLog:
    """What a contender is given."""

    workload: Workload
    seed: int
    events: int
    topic: str
    partitions: int
    template: str
    """The database that each turn begins with a copy of."""
    expected: bool
    """Whether the template knows the rows."""

    def records(self) -> Iterable[LogRecord]:
        """The records, made once more."""
        return self.workload.records(self.seed, self.events)


def partition_of(key: bytes, partitions: int) -> int:
    """Where a record goes. Any function of the key keeps the order of each video."""
    return zlib.crc32(key) % partitions


@asynccontextmanager
async def published(  # noqa: PLR0913 - what a log is made of
    servers: Servers,
    workload: Workload,
    *,
    seed: int,
    events: int,
    partitions: int,
    check_rows: bool = True,
    rows_before: int = 0,
) -> AsyncIterator[PublishedLog]:
    """Publish a workload, once for all contenders. `rows_before`: videos in the table that no event is about."""
    topic, template = fresh_name(workload.name), fresh_name("template")
    log = PublishedLog(workload, seed, events, topic, partitions, template, check_rows)
    await create_topics(servers.bootstrap_servers, {topic: partitions}, configs=_FOR_EVER)
    await servers.create_database(template)
    try:
        records = log.records() if check_rows or workload.applied else ()
        await prepare_database(servers, template, records, applied=workload.applied, rows_before=rows_before)
        await _publish(servers.bootstrap_servers, log)
        yield log
    finally:
        await servers.drop_database(template)


async def _publish(bootstrap_servers: str, log: PublishedLog) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", max_batch_size=_BATCH_BYTES, max_request_size=8 * _BATCH_BYTES
    )
    await producer.start()
    try:
        await _send_batches(producer, log)
    finally:
        await producer.stop()


async def _send_batches(producer: AIOKafkaProducer, log: PublishedLog) -> None:
    """Whole batches, made here: several times as fast as record by record, and the same log."""
    filling = [producer.create_batch() for _ in range(log.partitions)]
    waiting: list[asyncio.Future[Any]] = []
    now = time.time_ns() // 1_000_000
    for record in log.records():
        partition = partition_of(record.key, log.partitions)
        while filling[partition].append(key=record.key, value=record.value, timestamp=now) is None:
            waiting.append(await producer.send_batch(filling[partition], log.topic, partition=partition))
            filling[partition] = producer.create_batch()
            if len(waiting) >= _IN_FLIGHT:
                await asyncio.gather(*waiting)
                waiting.clear()
    for partition, batch in enumerate(filling):
        if batch.record_count():
            waiting.append(await producer.send_batch(batch, log.topic, partition=partition))
    await asyncio.gather(*waiting)
