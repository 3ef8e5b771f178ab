"""Dead letters straight into PostgreSQL, without Kafka; and what became of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.redrive import Redrive
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.records import Partition, Span
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import Decode, decoder
from tests.support.builders import an_id, record, video
from tests.support.writing import GROUP

DECODE = decoder(DEFAULT_TOPICS, 524_288)
_NOTHING_FITS = decoder(DEFAULT_TOPICS, 1)


async def park(engine: AsyncEngine, records: Sequence[Any], decode: Decode = _NOTHING_FITS) -> None:
    """Make letters of all that has a value, valid or not: for a consumer with a limit of one byte, all is too large."""
    partitions = {Partition(one.topic, one.partition) for one in records}
    for partition in sorted(partitions):
        some = [one for one in records if Partition(one.topic, one.partition) == partition]
        start = (await Ledger(engine, GROUP).positions(None, {partition: 0}))[partition].next_offset
        batch = Batch(0, decode)
        batch.add(some, [decode(one) for one in some])
        batch.extend({partition: Span(start, max(start, some[-1].offset) + 1)}, {})
        await BatchWriter(engine, GROUP).write(batch)


def videos(count: int, *, first_offset: int = 0) -> list[Any]:
    """Records of video.created, three partitions, each with its key."""
    made = []
    for number in range(count):
        value = video("created", number, owner=number % 7)
        place = {"offset": first_offset + number, "partition": number % 3}
        made.append(record(value, key=an_id(number).encode(), **place))
    return made


def redrive(engine: AsyncEngine, **options: Any) -> Redrive:
    """A redrive as `dlq redrive` makes it."""
    return Redrive(engine, GROUP, BatchWriter(engine, GROUP), options.pop("decode", DECODE), **options)


async def letters(engine: AsyncEngine, order: str = '"offset"') -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        found = await connection.execute(text(f"SELECT * FROM dead_letters ORDER BY {order}"))
        return [dict(row) for row in found.mappings()]


async def counted(engine: AsyncEngine) -> dict[tuple[str, int], int]:
    """Letters by state and attempts."""
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT state, attempts, count(*) FROM dead_letters GROUP BY 1, 2"))
        return {(state, attempts): count for state, attempts, count in found}
