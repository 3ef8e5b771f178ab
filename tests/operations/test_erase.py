"""`reelsync erase`, and what `verify`, `rebuild` and `trace` make of people who are erased."""

import asyncio
import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from reelsync.consumer.cli.rebuild import run_rebuild
from reelsync.consumer.cli.trace import run_trace
from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.settings import Settings
from tests.operations.test_video_states import keeping
from tests.support.builders import an_id, usage, user, video
from tests.support.erasing import erased, traces
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, tables_of, topic_of, until_applied

PERSON, OTHER = an_id(1001), an_id(1002)
WORDS = (PERSON, PERSON.replace("-", ""), "user_1", "user1@")


async def lived(settings: Settings) -> None:
    """A person with a profile, two videos of which one has another owner by now, a fact and letters; and another."""
    people = [
        user("created"),
        user("profile_updated", version=2),
        user("created", 2),
        user("updated", 1, 3, username="-"),
    ]
    videos = [video("created"), video("created", 2), video("updated", 2, 2, owner=2), video("created", 3, owner=2)]
    videos += [video("progressed", 4, 1, progress=900)]
    await publish(settings, topic_of(settings, "user"), [(PERSON.encode(), one) for one in people])
    await publish(settings, topic_of(settings, "video"), [(an_id(4).encode(), one) for one in videos])
    await publish(settings, topic_of(settings, "model_usage"), [(b"m", usage()), (b"m", usage(2, 3, 2))])
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "dead_letters", '"offset"')) == 2


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {str(row["id"]) for row in rows}


async def left(settings: Settings) -> list[tuple[str, str, str]]:
    engine = create_async_engine(settings.database.url.get_secret_value())
    try:
        return await traces(engine, WORDS)
    finally:
        await engine.dispose()


async def command(settings: Settings, *arguments: str) -> dict[str, Any]:
    done = await asyncio.to_thread(run_command, settings, "erase", PERSON, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


async def test_the_command_counts_and_then_erases_and_nothing_brings_the_person_back(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    settings, migrating = keeping(settings), keeping(migrating)
    await lived(settings)
    before = await tables_of(settings)
    found = {"users": 1, "user_profiles": 1, "videos": 2, "videos_of_others": 1, "model_usage": 1, "dead_letters": 2}
    found |= {"video_states": 2}
    assert (await command(settings, "--dry-run"))["found"] == found | {"erased_before": 0}
    unasked = await asyncio.to_thread(run_command, settings, "erase", PERSON)
    assert (unasked.returncode, "add --yes" in unasked.stderr) == (2, True)
    assert await tables_of(settings) == before
    await rebuild_left_by_a_dry_run(migrating)
    done = await command(settings, "--yes", "--because", "ticket 4711")
    assert {table: done["done"][table] for table in found if table in done["done"]} == {
        name: number for name, number in found.items() if name != "videos_of_others"
    }
    assert await left(settings) == []
    (remembered,) = await rows_of(settings, "erased_users", "digest")
    assert remembered["because"] == "ticket 4711"
    assert (await command(settings, "--yes"))["found"] == dict.fromkeys(found, 0) | {"erased_before": 1}

    rows = await tables_of(settings)
    assert not (await run_verification(settings, 0)).found
    await operator.execute(text("UPDATE videos SET title = 'x' WHERE version > 0"))
    await operator.execute(text("DELETE FROM user_profiles"))
    await run_rebuild(migrating, exactly=False, apply=True)
    assert await tables_of(settings) == rows
    assert await left(settings) == []

    late = [(PERSON.encode(), user("updated", 1, 9)), (OTHER.encode(), video("created", 5))]
    await publish(settings, topic_of(settings, "user"), late)
    async with consuming(settings):
        await until_applied(settings)
    assert await left(settings) == []
    assert not (await run_verification(settings, 0)).found
    traced = await run_trace(settings, PERSON, None, None)
    assert {fate.what for seen, fate in traced.found if isinstance(seen.verdict, dict)} == {"erased"}


async def rebuild_left_by_a_dry_run(migrating: Settings) -> None:
    """A shadow that has the person, and that the next rebuild goes on with."""
    await run_rebuild(migrating, exactly=False, apply=False)


async def test_an_event_erases_and_a_restored_database_is_told_by_the_log(
    settings: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await lived(settings)
    before = await tables_of(settings)
    await publish(settings, topic_of(settings, "user"), [(PERSON.encode(), erased().value)])
    async with consuming(settings):
        await until_applied(settings)
    rows = await tables_of(settings)
    assert (PERSON in ids(before["users"]), PERSON in ids(rows["users"])) == (True, False)
    videos = {str(row["id"]): row for row in rows["videos"]}
    assert videos[an_id(2)]["deleted_at"].year == 1970, "it had another owner by now"
    assert videos[an_id(3)] in before["videos"]
    assert not (await run_verification(settings, 0)).found
    # As if the erasure had been lost, and nothing else.
    await operator.execute(text("DELETE FROM erased_users"))
    name = f"INSERT INTO users (id, version, account_version, username) VALUES ('{PERSON}', 1, 1, 'user_1')"
    await operator.execute(text(name))
    assert {finding.row_id for finding in (await run_verification(settings, 0)).findings} == {PERSON}
    await run_rebuild(migrating, exactly=False, apply=True)
    assert await tables_of(settings) == rows
    assert await left(settings) == []
