"""Who works on the letters of a group holds a lock that others of the group respect, and that no stranger can take."""

import asyncio

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from reelsync.consumer.dead_letters.closing import discard
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry, has_turn, take_turn
from tests.letters.parking import park, redrive, videos
from tests.letters.test_redriving_names import parked_conflicts, redriven
from tests.support.roles import roles_of
from tests.support.writing import GROUP


async def has_relays_turn(connection: object, group: str = GROUP) -> bool:
    return await has_turn(connection, group, "relay", "dead_letters.relay_turn")  # type: ignore[arg-type]


async def test_one_of_a_group_has_the_turn_until_its_transaction_ends(engine: AsyncEngine) -> None:
    async with engine.begin() as first:
        assert await has_relays_turn(first), "the row is made"
    async with engine.connect() as one, engine.connect() as other:
        assert await has_relays_turn(one)
        assert not await has_relays_turn(other)
        assert await has_turn(other, GROUP, "redrive", "redrive.lock")
        assert await has_relays_turn(other, "another group")
        await one.commit()
        assert await has_relays_turn(other)


async def test_operators_wait_for_each_other(engine: AsyncEngine) -> None:
    """The first time, when there is no row to lock, and later."""
    for _ in range(2):
        async with engine.connect() as one, engine.connect() as other:
            await take_turn(one, GROUP)
            waiting = asyncio.create_task(take_turn(other, GROUP))
            done, _running = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            await one.commit()
            async with asyncio.timeout(10):
                await waiting
            await other.commit()


async def test_a_role_that_reads_holds_up_no_work_on_letters(engine: AsyncEngine, operator_url: str) -> None:
    await parked_conflicts(engine, 3)
    await park(engine, videos(3))
    stranger_engine = create_async_engine(
        roles_of(operator_url, database=str(make_url(operator_url).database)).read_url
    )
    async with stranger_engine.connect() as stranger:
        for work in ("redrive", "relay", "letters"):
            keys = f"hashtext('reelsync.{work}'), hashtext(:group)"
            await stranger.execute(text(f"SELECT pg_advisory_xact_lock({keys})"), {"group": GROUP})
        for statement in ("LOCK TABLE letter_locks IN ACCESS SHARE MODE", "SELECT FROM letter_locks FOR KEY SHARE"):
            savepoint = await stranger.begin_nested()
            with pytest.raises(DBAPIError, match="permission denied"):
                await stranger.execute(text(statement))
            await savepoint.rollback()
        async with asyncio.timeout(10):
            assert await redriven(engine) == (3, 0)
            assert (await redrive(engine).run(Selection())).applied == 3
            await discard(engine, GROUP, Selection(), Entry("not needed"))
            async with engine.connect() as relay:
                assert await has_relays_turn(relay)
        held = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert (await stranger.scalar(held) or 0) >= 3
    await stranger_engine.dispose()
