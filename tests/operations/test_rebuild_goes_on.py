"""A rebuild that was killed, or lost its servers, goes on where it was or begins anew, and has changed nothing."""

import asyncio
import json
import random

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import Settings
from reelsync.testing.servers import DatabaseServer
from tests.letters.commanding import run_inside
from tests.operations.rebuilding import applied, damage, done_to, rebuilding, rebuilt, shadow_tables
from tests.support.builders import video
from tests.support.processes import run_command
from tests.support.roles import psql
from tests.support.running import consuming, eventually, publish, tables_of, topic_of, until_applied


async def test_killed_while_it_replays_it_has_changed_nothing_and_goes_on(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 9, events=3000)
    before = await tables_of(settings)
    await damage(operator)
    damaged = await tables_of(settings)
    migrating = migrating.model_copy(update={"batch": migrating.batch.model_copy(update={"max_records": 40})})
    positions = text("SELECT coalesce(sum(next_offset), 0) FROM reelsync_rebuild.consumer_offsets")
    exists = text("SELECT to_regclass('reelsync_rebuild.differing') IS NOT NULL")
    replayed = 0
    for goal in (1, random.Random(9).randrange(200, 1000), 1500):
        with rebuilding(migrating) as child:

            async def so_far() -> bool:
                assert child.poll() is None, "it was done before it was killed"
                return await operator.scalar(exists) and await operator.scalar(positions) >= goal  # noqa: B023

            await eventually(so_far, f"{goal} offsets replayed")
        assert await tables_of(settings) == damaged
        assert await operator.scalar(positions) >= replayed
        replayed = int(await operator.scalar(positions))
    report = await rebuilt(migrating)
    assert report["resumed"]
    assert report["records"] <= 3603 - replayed
    assert await tables_of(settings) == before


async def test_killed_in_the_middle_of_replacing_rows_it_has_changed_nothing(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 10)
    before = await tables_of(settings)
    await damage(operator)
    damaged = await tables_of(settings)
    await rebuilt(migrating, apply=False)  # so that nothing else is left to do, which would wait for the lock too
    waiting = text("SELECT count(*) FROM pg_locks WHERE relation = 'erasure_lock'::regclass AND NOT granted")
    holding = create_async_engine(operator.engine.url, poolclass=NullPool)
    async with holding.begin() as holder:
        await holder.execute(text("LOCK TABLE erasure_lock IN SHARE ROW EXCLUSIVE MODE"))
        with rebuilding(migrating) as child:

            async def in_the_middle() -> bool:
                assert child.poll() is None
                return bool(await operator.scalar(waiting))

            await eventually(in_the_middle, "rows are replaced, and dead letters wait")
    assert await tables_of(settings) == damaged
    await rebuilt(migrating)
    assert await tables_of(settings) == before


async def test_two_at_once_are_one(settings: Settings, migrating: Settings, operator: AsyncConnection) -> None:
    await applied(settings, 12)
    await operator.execute(text("SELECT pg_advisory_lock(hashtext('reelsync.rebuild'))"))
    with pytest.raises(ReelsyncError, match="another rebuild"):
        await rebuilt(migrating)
    refused = await run_inside(migrating, "rebuild", "--discard")
    assert (refused.returncode, "another rebuild" in refused.stderr) == (1, True), refused.stderr


async def test_the_replay_of_another_log_is_not_gone_on_with(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 15, events=40)
    await rebuilt(migrating, apply=False)
    assert (await rebuilt(migrating, apply=False))["resumed"]
    moved = "UPDATE reelsync_rebuild.consumer_offsets SET anchor_crc = anchor_crc + 1 WHERE anchor_crc IS NOT NULL"
    await operator.execute(text(moved))
    anew = await rebuilt(migrating, apply=False)
    assert (anew["resumed"], anew["records"]) == (False, 51)


async def test_a_crash_of_postgresql_empties_the_whole_shadow_which_is_made_anew(
    settings: Settings, migrating: Settings, operator_url: str, postgres: DatabaseServer
) -> None:
    await applied(settings, 16, events=80)
    before = await tables_of(settings)
    await rebuilt(migrating, apply=False)
    # So that nothing of the dry run is lost but by being unlogged.
    psql(make_url(operator_url), "--command", "CHECKPOINT")
    await asyncio.to_thread(postgres.restart, "immediate")
    report = await rebuilt(migrating, exactly=True)
    assert (report["resumed"], done_to(report, "removed")) == (False, {})
    assert await tables_of(settings) == before


async def test_every_table_of_the_shadow_is_unlogged(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 17, events=10)
    await rebuilt(migrating, apply=False)
    tables = "FROM pg_class WHERE relnamespace = 'reelsync_rebuild'::regnamespace AND relkind = 'r'"
    logged = await operator.scalars(text(f"SELECT relname {tables} AND relpersistence <> 'u'"))
    assert (logged.all(), await shadow_tables(operator)) == ([], 12)


async def test_a_replay_that_was_decoded_otherwise_is_not_gone_on_with(settings: Settings, migrating: Settings) -> None:
    await publish(settings, topic_of(settings, "video"), [(b"v", video("created", title="x" * 400))])
    async with consuming(settings):
        await until_applied(settings)
    narrow = migrating.model_copy(update={"kafka": migrating.kafka.model_copy(update={"max_value_bytes": 300})})
    assert (await rebuilt(narrow, apply=False))["dead_letters"] == 1
    report = await rebuilt(migrating, exactly=True)
    assert (report["resumed"], report["records"], done_to(report, "removed")) == (False, 1, {})


async def test_what_an_earlier_one_left_can_be_dropped(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 14, events=40)
    await rebuilt(migrating, apply=False)
    assert await shadow_tables(operator) == 12
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--discard", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"discarded": True}
    assert await shadow_tables(operator) == 0
