"""A workload on the servers: its topic, and a template database with the rows that must result."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from benchmarks.expected import prepare_database
from benchmarks.forms import Form
from benchmarks.servers import Servers, fresh_name
from benchmarks.workloads import LogRecord, Workload
from reelsync.testing.servers.topics import create_topics

_BATCH_BYTES = 262_144
_IN_FLIGHT = 32
_FOR_EVER = {"retention.ms": "-1"}
_MARKERS = 48
"""How many markers a partition has."""


class Marker(NamedTuple):
    """A record that shows a consumer's progress: it is applied when its video has this version or a later one."""

    done: int
    """The number of the partition's records up to and including this one."""
    video_id: str
    version: int


@dataclass(frozen=True)
class PublishedLog:
    """What a contender is given."""

    workload: Workload
    seed: int
    events: int
    topic: str
    partitions: int
    template: str
    """The database that is copied for each turn."""
    expected: bool
    """Whether the template has the expected rows."""
    form: Form = "events"
    markers: list[list[Marker]] = field(default_factory=list)
    """The markers of each partition, in the order of its records; the last one is its last record."""

    def records(self) -> Iterable[LogRecord]:
        """The records, generated again."""
        return self.workload.records(self.seed, self.events, self.form)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a record. Any function of the key keeps the order of each video."""
    return zlib.crc32(key) % partitions


def placed(log: PublishedLog) -> Iterator[tuple[int, LogRecord]]:
    """The records with their partitions. Also fills in the log's markers."""
    every = max(1, log.events // log.partitions // _MARKERS)
    latest: list[Marker | None] = [None] * log.partitions
    log.markers[:] = [[] for _ in latest]
    for record in log.records():
        partition = partition_of(record.key, log.partitions)
        before = latest[partition]
        marker = latest[partition] = Marker(before.done + 1 if before else 1, record.video_id, record.version)
        if marker.done % every == 0:
            log.markers[partition].append(marker)
        yield partition, record
    for markers, last in zip(log.markers, latest, strict=True):
        if last and last not in markers:
            markers.append(last)


@asynccontextmanager
async def published(  # noqa: PLR0913 - what a log is made of
    servers: Servers,
    workload: Workload,
    *,
    seed: int,
    events: int,
    partitions: int,
    form: Form = "events",
    check_rows: bool = True,
    rows_before: int = 0,
) -> AsyncIterator[PublishedLog]:
    """Publish a workload, once for all contenders. `rows_before` is the number of rows that no event is about."""
    topic, template = fresh_name(workload.name), fresh_name("template")
    log = PublishedLog(workload, seed, events, topic, partitions, template, check_rows, form)
    await create_topics(servers.bootstrap_servers, {topic: partitions}, configs=_FOR_EVER)
    await servers.create_database(template)
    try:
        records = workload.records(seed, events) if check_rows or workload.applied else ()
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
    """Send whole batches that are made here: several times as fast as single records, with the same log as a result."""
    filling = [producer.create_batch() for _ in range(log.partitions)]
    waiting: list[asyncio.Future[Any]] = []
    now = time.time_ns() // 1_000_000
    for partition, record in placed(log):
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
