"""`reelsync rebuild`: whatever was done to the rows, they end as the log has them, and nothing is lost on the way."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import Settings
from tests.letters.commanding import run_inside
from tests.operations.random_topics import publish_log
from tests.operations.rebuilding import applied, damage, done_to, rebuilt, shadow_tables
from tests.support.builders import an_id, user, video
from tests.support.processes import run_command
from tests.support.roles import SCHEMA, psql, roles_of
from tests.support.running import consuming, publish, rows_of, tables_of, topic_of, until_applied


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
    rights = text(
        f"SELECT relname, relacl::text FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace ORDER BY 1"
    )
    before = (await operator.execute(rights)).all()
    await damage(operator)
    await rebuilt(migrating)
    assert (await operator.execute(rights)).all() == before
    agree = "SELECT count(*) FROM titles JOIN videos USING (id) WHERE titles.title IS NOT DISTINCT FROM videos.title"
    assert await operator.scalar(text(agree)) == len(await rows_of(settings, "videos"))
    read_url = roles_of(operator_url, database=str(make_url(operator_url).database)).read_url
    assert int(psql(make_url(read_url), "--command", "SELECT count(*) FROM videos")) > 0


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
