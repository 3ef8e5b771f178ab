"""The fence: of two owners of one position one commits; positions move with rows or not at all."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.errors import FencedError
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.offsets.store import Stored, fence
from reelsync.consumer.records import Anchor, Partition, Span
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.models.engine import create_engine
from tests.support.builders import record, video
from tests.support.roles import TEST_SCHEMA
from tests.support.running import eventually
from tests.support.writing import GROUP, batch_of

PARTITION = Partition("video-events", 0)
NEW = Stored(0, "cluster", None)
"""A position that was just made."""


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, search_path=TEST_SCHEMA, lock_timeout=20)
    await Ledger(engine, GROUP).positions("cluster", {PARTITION: 0, Partition("video-events", 1): 0})
    yield engine
    await engine.dispose()


def poison(count: int = 3) -> list[object]:
    return [record(b"poison %d" % offset, offset) for offset in range(count)]


async def letters(engine: AsyncEngine) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(text("SELECT attempts FROM dead_letters")))


async def test_of_two_owners_with_one_position_one_is_fenced(engine: AsyncEngine) -> None:
    owners = [BatchWriter(engine, GROUP).write(batch_of(poison(), PARTITION, 0)) for _ in range(8)]
    outcomes = await asyncio.gather(*owners, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert all(isinstance(o, FencedError) for o in outcomes if isinstance(o, BaseException))
    assert await letters(engine) == [1, 1, 1]


async def test_a_second_owner_waits_and_wins_if_the_first_rolls_back(engine: AsyncEngine) -> None:
    async with engine.connect() as first:
        await fence(first, GROUP, {PARTITION: Span(0, 3)}, {})
        second = asyncio.create_task(BatchWriter(engine, GROUP).write(batch_of(poison(), PARTITION, 0)))
        async with engine.connect() as watcher:

            async def waits() -> bool:
                await watcher.rollback()  # What a transaction sees of the activity stays as it was first seen.
                query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                return bool(await watcher.scalar(text(query)))

            await eventually(waits, "the second owner waits")
        assert not second.done()
        await first.rollback()
        await second
    assert await letters(engine) == [1, 1, 1]


async def test_one_stale_partition_of_two_writes_nothing(engine: AsyncEngine) -> None:
    batch = batch_of([record(video("created"), 0)], PARTITION, 0)
    batch.extend({Partition("video-events", 1): Span(7, 9)}, {})
    with pytest.raises(FencedError, match="1 of 2 partitions"):
        await BatchWriter(engine, GROUP).write(batch)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM videos")) == 0
        assert await connection.scalar(text("SELECT max(next_offset) FROM consumer_offsets")) == 0


async def test_a_fence_alone_moves_the_position_and_keeps_the_anchor(engine: AsyncEngine) -> None:
    ledger = Ledger(engine, GROUP)
    async with engine.begin() as connection:
        await fence(connection, GROUP, {PARTITION: Span(0, 5)}, {PARTITION: Anchor(4, 1_000, 42)})
    async with engine.begin() as connection:
        await fence(connection, GROUP, {PARTITION: Span(5, 6)}, {})
    stored = (await ledger.positions("cluster", {PARTITION: 0}))[PARTITION]
    assert stored == Stored(6, "cluster", Anchor(4, 1_000, 42))


async def test_a_batch_of_another_topic_of_that_name_is_fenced(engine: AsyncEngine) -> None:
    ledger = Ledger(engine, GROUP)
    assert await ledger.adopt({PARTITION: NEW}, {PARTITION: "old"}) == {PARTITION}
    stale = batch_of(poison(), PARTITION, 0)
    stale.spans[PARTITION] = stale.spans[PARTITION]._replace(topic_id="old")
    assert await ledger.adopt({PARTITION: NEW._replace(topic_id="old")}, {PARTITION: "new"}) == {PARTITION}
    with pytest.raises(FencedError):
        await BatchWriter(engine, GROUP).write(stale)
    assert await letters(engine) == []
    stale.spans[PARTITION] = stale.spans[PARTITION]._replace(topic_id="new")
    await BatchWriter(engine, GROUP).write(stale)
    assert await letters(engine) == [1, 1, 1]


async def test_a_position_that_moved_meanwhile_adopts_no_topic(engine: AsyncEngine) -> None:
    ledger = Ledger(engine, GROUP)
    other = Partition("video-events", 1)
    held = {PARTITION: NEW._replace(next_offset=7), other: NEW}
    assert await ledger.adopt(held, {PARTITION: "new", other: "new"}) == {other}
    assert (await ledger.positions("cluster", {PARTITION: 0}))[PARTITION].topic_id is None


async def test_a_topic_that_another_owner_has_found_meanwhile_stays(engine: AsyncEngine) -> None:
    """Who was slow knows only an older topic of the name."""
    ledger = Ledger(engine, GROUP)
    await ledger.adopt({PARTITION: NEW}, {PARTITION: "new"})
    assert await ledger.adopt({PARTITION: NEW}, {PARTITION: "old"}) == set()
    assert (await ledger.positions("cluster", {PARTITION: 0}))[PARTITION].topic_id == "new"


async def test_owners_of_overlapping_partitions_do_not_deadlock(engine: AsyncEngine) -> None:
    partitions = [Partition("many", number) for number in range(20)]
    await Ledger(engine, GROUP).positions(None, dict.fromkeys(partitions, 0))

    async def advance(order: list[Partition]) -> int:
        moved = 0
        for step in range(25):
            try:
                async with engine.begin() as connection:
                    await fence(connection, GROUP, {p: Span(step, step + 1) for p in order}, {})
                moved += 1
            except FencedError:
                pass
        return moved

    moved = await asyncio.gather(
        advance(partitions), advance(partitions[::-1]), advance(partitions[5:] + partitions[:5])
    )
    assert sum(moved) >= 25
