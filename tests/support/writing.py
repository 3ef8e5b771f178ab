"""Batches straight into PostgreSQL, without Kafka: what the law needs, thousands of times. States are kept."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.observer import Written
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.records import Partition, Span
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import Rejection, decoder
from reelsync.consumer.transform.fold import FoldWithStates
from reelsync.events.debezium import Topic
from reelsync.models.engine import create_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import shuffled

GROUP = "law"
KEYS = {
    **dict.fromkeys(("users", "videos", "model_usage"), "id::text"),
    "user_profiles": "user_id::text",
    "video_states": "video_id || '/' || version",
}
"""The text by which `snapshot` and the oracle call a row of each table."""


def batch_of(
    records: Sequence[Any], partition: Partition, start: int, topics: Mapping[str, Topic] = DEFAULT_TOPICS
) -> Batch:
    """A batch of these records, as if they stood in `partition` from offset `start` on."""
    batch = Batch(0, decoder(topics, 524_288), FoldWithStates)
    batch.add(records, [batch.decode(record) for record in records])
    batch.extend({partition: Span(start, start + len(records))}, {})
    return batch


def cuts(records: Sequence[Any], rng: random.Random) -> list[Sequence[Any]]:
    """The records, cut anywhere."""
    parts, rest = [], list(records)
    while rest:
        size = rng.randint(1, max(1, len(rest) // rng.choice((1, 2, 4))))
        parts.append(rest[:size])
        rest = rest[size:]
    return parts


async def write_all(
    engine: AsyncEngine,
    parts: Sequence[Sequence[Any]],
    partition: Partition,
    topics: Mapping[str, Topic] = DEFAULT_TOPICS,
) -> list[Written]:
    """Write the parts, one transaction each, in order, as one owner of one partition."""
    writer, ledger = BatchWriter(engine, GROUP, FoldWithStates), Ledger(engine, GROUP)
    start = (await ledger.positions(None, {partition: 0}))[partition].next_offset
    written = []
    for part in parts:
        written.append(await writer.write(batch_of(part, partition, start, topics)))
        start += len(part)
    return written


async def deliver_all(
    engine: AsyncEngine,
    parts: Sequence[Sequence[Any]],
    partition: Partition,
    topics: Mapping[str, Topic] = DEFAULT_TOPICS,
) -> list[Rejection]:
    """The same, as a consumer does it: of a batch that the database refuses, only the events at fault are parked."""
    writer, ledger = BatchWriter(engine, GROUP, FoldWithStates), Ledger(engine, GROUP)
    start = (await ledger.positions(None, {partition: 0}))[partition].next_offset
    rejections = []
    for part in parts:
        try:
            written = await writer.write(batch_of(part, partition, start, topics))
        except DBAPIError as error:
            if classify(error) is not Verdict.DATA:
                raise
            written = await writer.write(batch_of(part, partition, start, topics), carefully=True)
        rejections += written.rejections
        start += len(part)
    return rejections


async def snapshot(engine: AsyncEngine) -> dict[str, dict[str, dict[str, Any]]]:
    """All rows by table and key; of placeholders only that they are there."""
    tables: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in KEYS}
    async with engine.connect() as connection:
        for table, key in KEYS.items():
            rows = (await connection.execute(text(f"SELECT *, {key} AS key FROM {table}"))).mappings()
            for row in map(dict, rows):
                tables[table][row.pop("key")] = {"version": 0} if row.get("version") == 0 else row
    return tables


@contextmanager
def a_database(postgres: EmbeddedPostgres, name: str) -> Iterator[str]:
    postgres.create_database(name, "migrated")
    try:
        yield postgres.url(name)
    finally:
        postgres.drop_database(name)


async def assert_a_replay_writes_nothing(postgres: EmbeddedPostgres, log: Sequence[Any]) -> None:
    """The log once more, in another order and with other cuts: all of it is sent, and no row changes."""
    with a_database(postgres, "replayed") as url:
        engine = create_engine(url)
        await write_all(engine, [log], Partition("video-events", 0))
        replayed = await write_all(engine, cuts(shuffled(log, 3), random.Random(3)), Partition("video-events", 1))
        await engine.dispose()
    assert sum(sum(written.changed.values()) for written in replayed) == 0
    assert sum(sum(written.sent.values()) for written in replayed) > 0
