"""The ceiling: the statements of every batch, made in advance, with the same fence and COMMIT, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.contenders.assignment import Assignment, read_assignment
from benchmarks.forms import TOPICS
from reelsync.consumer.offsets.store import create_positions, fence
from reelsync.consumer.records import Anchor, Partition, Span
from reelsync.consumer.settings import BatchSettings
from reelsync.consumer.source.batching import BatchSize
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from reelsync.consumer.transform.plan import Missing, Statement
from reelsync.models import User, UserProfile, Video
from reelsync.models.engine import create_engine
from reelsync.models.upsert import INSERT_MODEL_USAGE, ROWS, UPSERTS

_MAX_VALUE_BYTES = 524_288
_NOTHING_MISSING = Missing((), ())
_STATEMENTS = {
    "users": UPSERTS[User],
    "user_profiles": UPSERTS[UserProfile],
    "videos": UPSERTS[Video],
    "model_usage": INSERT_MODEL_USAGE,
}


class Planned(NamedTuple):
    """A batch, ready to be written."""

    spans: dict[Partition, Span]
    anchors: dict[Partition, Anchor]
    statements: list[Statement]


async def main(assignment: Assignment) -> None:
    """Plan everything, wait at the gate, write everything; one task for each connection."""
    shares = [
        [number for number in range(assignment.partitions) if number % assignment.connections == connection]
        for connection in range(assignment.connections)
    ]
    plans = [[planned async for planned in _planned(assignment, share)] for share in shares]
    engine = create_engine(assignment.database_url, lock_timeout=120.0, statement_timeout=120.0)
    writing = [_write(engine, assignment, *share) for share in zip(shares, plans, strict=True)]
    await asyncio.gather(*writing)
    await engine.dispose()
    await asyncio.Event().wait()


async def _planned(assignment: Assignment, numbers: Sequence[int]) -> AsyncIterator[Planned]:
    """The batches of these partitions in turns. Each batch is of one partition, and as large as reelsync's become."""
    consumer = AIOKafkaConsumer(bootstrap_servers=assignment.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(assignment.topic, number) for number in numbers])
    decode = decoder({assignment.topic: TOPICS[assignment.form]}, _MAX_VALUE_BYTES)
    positions = dict.fromkeys((Partition(assignment.topic, number) for number in numbers), 0)
    try:
        while unread := [partition for partition in positions if not _is_at_end(consumer, partition, positions)]:
            for partition in unread:
                batch = await _filled(consumer, partition, Batch(0, decode), positions)
                if batch.count:
                    yield Planned(batch.spans, batch.anchors, batch.plan.statements(_NOTHING_MISSING))
    finally:
        await consumer.stop()


async def _filled(
    consumer: AIOKafkaConsumer, partition: Partition, batch: Batch, positions: dict[Partition, int]
) -> Batch:
    """Fill a batch with the next records of a partition.

    Raises:
        TypeError: a record is no valid event; a workload has none of those.
    """
    size = BatchSize(BatchSettings())
    while not size.is_full(batch) and not _is_at_end(consumer, partition, positions):
        place = TopicPartition(*partition)
        fetched = await consumer.getmany(place, timeout_ms=200, max_records=size.room(batch))
        records = fetched.get(place)
        if not records:
            continue
        batch.add(records, [batch.decode(record) for record in records])
        if batch.rejections:
            raise TypeError(f"{partition}: {batch.rejections[0].reason}")
        start, positions[partition] = positions[partition], records[-1].offset + 1
        batch.extend({partition: Span(start, positions[partition])}, {partition: records[-1]})
    return batch


def _is_at_end(consumer: AIOKafkaConsumer, partition: Partition, positions: Mapping[Partition, int]) -> bool:
    """Whether everything is read. The end of a partition is known from its first fetch."""
    end = consumer.highwater(TopicPartition(*partition))
    return end is not None and positions[partition] >= end


async def _write(engine: AsyncEngine, assignment: Assignment, numbers: Sequence[int], plans: Sequence[Planned]) -> None:
    starts = dict.fromkeys((Partition(assignment.topic, number) for number in numbers), 0)
    async with engine.connect() as connection:
        await create_positions(connection, assignment.group, None, starts)
        await connection.commit()
        for spans, anchors, statements in plans:
            await fence(connection, assignment.group, spans, anchors)
            for statement in statements:
                await connection.execute(_STATEMENTS[statement.table], {ROWS: statement.rows})
            await connection.commit()


if __name__ == "__main__":
    asyncio.run(main(read_assignment()))
