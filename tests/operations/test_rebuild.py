"""`reelsync rebuild`: whatever was done to the rows, they end as the log has them, and nothing is lost on the way."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.cli.rebuild import as_json_document, run_rebuild
from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import Settings
from reelsync.testing.servers import DatabaseServer
from tests.letters.commanding import run_inside
from tests.operations.random_topics import publish_log
from tests.support.builders import an_id, user, video
from tests.support.processes import ROOT, environment, run_command
from tests.support.roles import TEST_SCHEMA, psql, roles_of
from tests.support.running import consuming, eventually, publish, rows_of, tables_of, topic_of, until_applied


@pytest.fixture
def migrating(settings: Settings, operator_url: str) -> Settings:
    """The settings of the role that migrates."""
    url = roles_of(operator_url, database=str(make_url(operator_url).database)).migrate_url
    return Settings.model_validate(
        settings.model_dump() | {"database": {"url": url, "lock_timeout": 2.0, "schema": TEST_SCHEMA}}
    )


async def rebuilt(migrating: Settings, *, exactly: bool = False, apply: bool = True) -> dict[str, Any]:
    return as_json_document(await run_rebuild(migrating, exactly=exactly, apply=apply), applied=apply)


def done_to(report: dict[str, Any], what: str) -> dict[str, int]:
    return {part["table"]: part[what] for part in report["tables"] if part[what]}


async def applied(settings: Settings, seed: int, events: int = 400) -> None:
    await publish_log(settings, seed, events)
    async with consuming(settings):
        await until_applied(settings)


async def shadow_tables(operator: AsyncConnection) -> int:
    count = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'reelsync_rebuild'")
    return int(await operator.scalar(count))


DAMAGE = (
    "UPDATE videos SET title = 'x', details_version = details_version - 1 WHERE get_byte(uuid_send(id), 15) % 3 = 0",
    "UPDATE videos SET status = 'failed', progress = 1 WHERE get_byte(uuid_send(id), 15) % 3 = 1 AND version > 0",
    "UPDATE users SET preferences = '{}', updated_at = '2020-01-01' WHERE version > 0",
    "DELETE FROM user_profiles WHERE get_byte(uuid_send(user_id), 15) % 2 = 0",
    "DELETE FROM model_usage",
    "DELETE FROM videos WHERE get_byte(uuid_send(id), 15) % 3 = 2",
    "DELETE FROM dead_letters",
)


async def damage(operator: AsyncConnection) -> None:
    for statement in DAMAGE:
        await operator.execute(text(statement))


async def test_damaged_rows_are_as_they_were(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 1)
    before, letters = await tables_of(settings), await rows_of(settings, "dead_letters", '"offset"')
    await damage(operator)
    foreseen = await rebuilt(migrating, apply=False)
    assert await tables_of(settings) != before
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["resumed"], report["records"]) == (True, 0)
    assert json.loads(json.dumps(foreseen["tables"])) == report["tables"]
    assert await tables_of(settings) == before
    assert [row["crc"] for row in await rows_of(settings, "dead_letters", '"offset"')] == [
        row["crc"] for row in letters
    ]
    assert done_to(report, "added").keys() == {"user_profiles", "videos", "model_usage"}
    assert done_to(report, "kept") == {}
    assert not (await run_verification(settings, 0)).found
    assert await shadow_tables(operator) == 0


async def test_right_rows_are_not_written(settings: Settings, migrating: Settings, operator: AsyncConnection) -> None:
    await applied(settings, 2)
    where = text("SELECT id, xmin::text, ctid::text FROM videos ORDER BY id")
    before = (await operator.execute(where)).all()
    report = await rebuilt(migrating)
    assert [done_to(report, what) for what in ("added", "changed", "removed", "kept")] == [{}] * 4
    assert (await operator.execute(where)).all() == before


async def test_what_only_the_database_holds_stays_unless_its_loss_is_accepted(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await publish(settings, topic_of(settings, "video"), [(b"v", video("created", n)) for n in (1, 2)])
    async with consuming(settings):
        await until_applied(settings)
    logged = await tables_of(settings)
    own = f"INSERT INTO users (id, version, account_version, username) VALUES ('{an_id(1009)}', 5, 5, 'own')"
    await operator.execute(text(own))
    newer = f"UPDATE videos SET details_version = 7, version = 7, title = 'newer' WHERE id = '{an_id(1)}'"
    await operator.execute(text(newer))
    held = await tables_of(settings)
    report = await rebuilt(migrating)
    assert done_to(report, "kept") == {"users": 1, "videos": 1}
    assert await tables_of(settings) == held
    report = await rebuilt(migrating, exactly=True)
    assert (done_to(report, "removed"), done_to(report, "changed")) == ({"users": 1}, {"videos": 1})
    assert await tables_of(settings) == logged


async def test_consumers_and_publishers_go_on_and_prepared_statements_live(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 4)
    async with consuming(settings) as consumer:
        await publish_log(settings, 5)
        await damage(operator)
        publishing = asyncio.create_task(publish_log(settings, 6, events=1500))
        report = await rebuilt(migrating)
        assert report["applied"]
        await publishing
        await publish_log(settings, 7)
        await until_applied(settings)
        assert consumer.metrics.registry.get_sample_value("reelsync_retries_total", {"reason": "bug"}) is None
    # What was damaged while the consumer wrote on top of it is right too.
    assert not (await run_verification(settings, 0)).found


async def test_views_and_rights_survive(
    settings: Settings, migrating: Settings, operator: AsyncConnection, operator_url: str
) -> None:
    await applied(settings, 8)
    await operator.execute(text("CREATE VIEW titles AS SELECT id, title FROM videos"))
    rights = text("SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
    before = (await operator.execute(rights)).all()
    await damage(operator)
    await rebuilt(migrating)
    assert (await operator.execute(rights)).all() == before
    agree = "SELECT count(*) FROM titles JOIN videos USING (id) WHERE titles.title IS NOT DISTINCT FROM videos.title"
    assert await operator.scalar(text(agree)) == len(await rows_of(settings, "videos"))
    read_url = roles_of(operator_url, database=str(make_url(operator_url).database)).read_url
    assert int(psql(make_url(read_url), "--command", "SELECT count(*) FROM videos")) > 0


@contextmanager
def rebuilding(migrating: Settings, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A rebuild in a process of its own, killed at the end."""
    command, quiet = [sys.executable, "-m", "reelsync.consumer", "rebuild", *options], subprocess.DEVNULL
    child = subprocess.Popen(command, env=environment(migrating), cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


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


async def test_names_that_wait_stay_as_they_are(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    topic = topic_of(settings, "user")
    events = [
        user("created", 1, username="bob"),
        user("created", 2, username="carol", email="c@example.com"),
        user("updated", 2, version=2, username="bob", email="c@example.com"),
        user("created", 3, username="dave", email="d@example.com"),
    ]
    await publish(settings, topic, [(b"same", value) for value in events])
    async with consuming(settings):
        await until_applied(settings)
    before = await rows_of(settings, "users")
    await operator.execute(text("UPDATE users SET email = 'x@example.com' WHERE username = 'dave'"))
    report = await rebuilt(migrating)
    assert done_to(report, "changed") == {"users": 1}
    assert await rows_of(settings, "users") == before


async def test_the_role_that_runs_may_not(settings: Settings) -> None:
    await applied(settings, 13)
    done = await asyncio.to_thread(run_command, settings, "rebuild")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "roles.sql" in done.stderr


async def test_names_that_clash_with_rows_of_others_change_nothing(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await publish(settings, topic_of(settings, "user"), [(b"u", user("created", 1, username="bob"))])
    async with consuming(settings):
        await until_applied(settings)
    logged = await tables_of(settings)
    await operator.execute(text("UPDATE users SET username = 'zed'"))
    own = f"INSERT INTO users (id, version, account_version, username) VALUES ('{an_id(1009)}', 5, 5, 'bob')"
    await operator.execute(text(own))
    held = await tables_of(settings)
    with pytest.raises(ReelsyncError, match="share a name"):
        await rebuilt(migrating)
    assert await tables_of(settings) == held
    await rebuilt(migrating, exactly=True)
    assert await tables_of(settings) == logged


async def test_a_loss_is_accepted_with_a_yes_only(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await applied(settings, 17, events=40)
    await operator.execute(text(f"INSERT INTO users (id, version, username) VALUES ('{an_id(1009)}', 5, 'nobody')"))
    held = await tables_of(settings)
    asked = await asyncio.to_thread(run_command, migrating, "rebuild", "--accept-loss")
    assert asked.returncode == 2
    assert "error: 1 row will be removed and" in asked.stderr
    assert await tables_of(settings) == held
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--accept-loss", "--yes")
    assert done.returncode == 0, done.stderr
    assert "nobody" not in {row["username"] for row in await rows_of(settings, "users")}


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
    assert (logged.all(), await shadow_tables(operator)) == ([], 11)


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
    assert await shadow_tables(operator) == 11
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--discard", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"discarded": True}
    assert await shadow_tables(operator) == 0


async def test_corrections_that_it_takes_away_are_parked_again_and_a_redrive_brings_them_back(
    settings: Settings, migrating: Settings, tmp_path: Path
) -> None:
    events = [video("created"), video("progressed", version=2, progress=101)]
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), value) for value in events])
    async with consuming(settings):
        await until_applied(settings)
    line = json.loads((await run_inside(settings, "dlq", "export")).stdout)
    event = json.loads(line["value"])
    edited = tmp_path / "letters.jsonl"
    edited.write_text(json.dumps(line | {"value": event | {"data": event["data"] | {"progress": 77}}}))
    for words in (("import", str(edited)), ("redrive", "--corrected")):
        done = await run_inside(settings, "dlq", *words)
        assert done.returncode == 0, done.stderr
    corrected = await tables_of(settings)
    assert (await rebuilt(migrating))["parked_again"] == 0
    assert await tables_of(settings) == corrected
    assert (await rebuilt(migrating, exactly=True))["parked_again"] == 1
    assert [row["progress"] for row in await rows_of(settings, "videos")] == [0]
    (letter,) = await rows_of(settings, "dead_letters")
    assert (letter["state"], letter["closed_at"], letter["audit"][-1]["because"]) == (
        "parked",
        None,
        "rebuild --accept-loss",
    )
    done = await run_inside(settings, "dlq", "redrive", "--corrected")
    assert done.returncode == 0, done.stderr
    assert await tables_of(settings) == corrected
