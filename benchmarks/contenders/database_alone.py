"""The ceiling: the statements of every batch, made in advance, through the same fence and COMMIT, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.contenders.assignment import Assignment, read_assignment
from reelsync.consumer.offsets.store import create_positions, fence
from reelsync.consumer.records import Anchor, Partition, Record, Span, anchor_of
from reelsync.consumer.transform.decode import Decode, Rejection, decoder
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, Statement, plan
from reelsync.models import User, UserProfile, Video
from reelsync.models.engine import create_engine
from reelsync.models.upsert import INSERT_MODEL_USAGE, ROWS, UPSERTS

_POLL_RECORDS = 500
_BATCH_RECORDS = 5_000
"""As reelsync cuts its batches, by default."""
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
    consumer = AIOKafkaConsumer(bootstrap_servers=assignment.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(assignment.topic, number) for number in numbers])
    positions = dict.fromkeys((Partition(assignment.topic, number) for number in numbers), 0)
    decode = decoder({assignment.topic: "video"}, _MAX_VALUE_BYTES)
    try:
        while not _is_at_end(consumer, positions):
            batch: list[Record] = []
            while len(batch) < _BATCH_RECORDS and not _is_at_end(consumer, positions):
                fetched = await consumer.getmany(timeout_ms=200, max_records=_POLL_RECORDS)
                batch += chain.from_iterable(fetched.values())
                _advance(positions, batch)
            if batch:
                yield _plan(batch, decode)
    finally:
        await consumer.stop()


def _is_at_end(consumer: AIOKafkaConsumer, positions: Mapping[Partition, int]) -> bool:
    """Whether all is read; the end of a partition is known from the first fetch of it."""
    ends = {partition: consumer.highwater(TopicPartition(*partition)) for partition in positions}
    return all(end is not None and positions[partition] >= end for partition, end in ends.items())


def _plan(batch: Sequence[Record], decode: Decode) -> Planned:
    """The statements of a batch, as reelsync makes them.

    Raises:
        TypeError: a record is no valid event; a workload has none of those.
    """
    fold = Fold()
    spans: dict[Partition, Span] = {}
    anchors: dict[Partition, Anchor] = {}
    for record in batch:
        partition = Partition(record.topic, record.partition)
        event = decode(record)
        if isinstance(event, Rejection):
            raise TypeError(f"{partition}, offset {record.offset}: {event.reason}")
        fold.add(event)
        held = spans.get(partition)
        spans[partition] = Span(held.start if held else record.offset, record.offset + 1)
        anchors[partition] = anchor_of(record)
    return Planned(spans, anchors, plan(fold).statements(_NOTHING_MISSING))


def _advance(positions: dict[Partition, int], records: Iterable[Record]) -> None:
    positions.update({Partition(record.topic, record.partition): record.offset + 1 for record in records})


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
