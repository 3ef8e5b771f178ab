"""`reelsync verify`: rows that are right agree, and each way to break one is named."""

import asyncio
import json
import re
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.operations.random_topics import publish_log
from tests.operations.verifying import agrees, verified
from tests.support.builders import an_id, structured, usage, user, video
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied


class Changed(NamedTuple):
    """A change by hand, and what is to be found of it."""

    table: str
    id: str
    change: str
    kind: str
    columns: tuple[str, ...]


LATER = "created_at = created_at + interval '1 second'"
EARLIER = "updated_at = updated_at - interval '1 second'"
CHANGED = (
    Changed("videos", an_id(1), "SET title = 'x'", "differs", ("title",)),
    Changed("videos", an_id(2), "SET progress = 3", "differs", ("progress",)),
    Changed("videos", an_id(3), "SET state_version = 1", "differs", ("state_version",)),
    Changed("videos", an_id(4), f"SET {LATER}", "differs", ("created_at",)),
    Changed("videos", an_id(5), f"SET {EARLIER}", "differs", ("updated_at",)),
    Changed("videos", an_id(6), "DELETE", "missing", ()),
    Changed("videos", an_id(7), "SET details_version = 9, title = 'x'", "unlogged", ("details_version", "title")),
    Changed("videos", an_id(8), "SET created_at = '2001-01-01'", "unlogged", ("created_at",)),
    Changed("users", an_id(1001), "SET preferences = '{}', is_active = false", "differs", ("is_active", "preferences")),
    Changed("users", an_id(1002), "SET username = NULL", "differs", ("username",)),
    Changed("users", an_id(9), "INSERT", "unlogged", ("version",)),
    Changed("user_profiles", an_id(1003), "DELETE", "missing", ()),
    Changed("model_usage", an_id(2001), "SET cost_usd = 1", "differs", ("cost_usd",)),
    Changed("model_usage", an_id(2002), "DELETE", "missing", ()),
)


def statement(row: Changed) -> str:
    key = "user_id" if row.table == "user_profiles" else "id"
    match row.change:
        case "DELETE":
            return f"DELETE FROM {row.table} WHERE {key} = '{row.id}'"
        case "INSERT":
            return f"INSERT INTO {row.table} (id, version) VALUES ('{row.id}', 1)"
        case _:
            return f"UPDATE {row.table} {row.change} WHERE {key} = '{row.id}'"


async def consumed_life(settings: Settings) -> None:
    """One user, two videos, a profile and a fact."""
    await publish(
        settings,
        topic_of(settings, "user"),
        [(b"u", user("created")), (b"u", user("profile_updated", version=2))],
    )
    life = [video("created"), video("processing", version=2), video("completed", version=3), video("created", 2)]
    await publish(settings, topic_of(settings, "video"), [(b"v", value) for value in life])
    await publish(settings, topic_of(settings, "model_usage"), [(b"m", usage())])
    async with consuming(settings):
        await until_applied(settings)


async def test_what_was_consumed_agrees(settings: Settings) -> None:
    await publish_log(settings, 1)
    async with consuming(settings):
        await until_applied(settings)
    report = await verified(settings)
    assert agrees(report)
    assert report.rows["videos"] == len(await rows_of(settings, "videos"))
    assert report.records > 480
    assert await verified(settings, 3) == report


async def test_each_row_that_was_changed_by_hand_is_named(settings: Settings, operator: AsyncConnection) -> None:
    videos = [value for n in range(1, 9) for value in (video("created", n), video("processing", n, version=2))]
    users = [
        value
        for n in range(1, 4)
        for value in (
            user("created", n),
            user("preferences_changed", n, version=2),
            user("profile_updated", n, version=3),
        )
    ]
    await publish(settings, topic_of(settings, "video"), [(b"v", value) for value in videos])
    await publish(settings, topic_of(settings, "user"), [(b"u", value) for value in users])
    await publish(settings, topic_of(settings, "model_usage"), [(b"m", usage(n)) for n in (1, 2)])
    async with consuming(settings):
        await until_applied(settings)
    assert agrees(await verified(settings))
    for row in CHANGED:
        await operator.execute(text(statement(row)))
    report = await verified(settings)
    found = {(found.table, found.row_id, found.kind, frozenset(found.columns)) for found in report.findings}
    assert found == {(row.table, row.id, row.kind, frozenset(row.columns)) for row in CHANGED}
    assert report.found.total() == len(CHANGED)


async def test_values_are_shown_only_if_asked_for(settings: Settings, operator: AsyncConnection) -> None:
    await consumed_life(settings)
    await operator.execute(text(f"UPDATE videos SET title = 'by hand' WHERE id = '{an_id(1)}'"))
    for_people = await asyncio.to_thread(run_command, settings, "verify")
    assert (for_people.returncode, "title" in for_people.stdout) == (1, True), for_people.stdout
    assert "by hand" not in for_people.stdout + for_people.stderr
    for_machines = await asyncio.to_thread(run_command, settings, "verify", "--values", "--json")
    assert for_machines.returncode == 1
    (found,) = json.loads(for_machines.stdout)["findings"]
    assert (found["expected"], found["found"]) == ({"title": "Video 1"}, {"title": "by hand"})


async def test_rows_that_services_write_are_in_order_if_told_so(settings: Settings, operator: AsyncConnection) -> None:
    await consumed_life(settings)
    await operator.execute(text(f"INSERT INTO users (id, version) VALUES ('{an_id(7)}', 1)"))
    for options, code in (((), 1), (("--unlogged-ok",), 0)):
        done = await asyncio.to_thread(run_command, settings, "verify", *options)
        assert (done.returncode, "1 rows hold data that is not in the log" in done.stderr) == (code, True), done.stderr


async def test_many_rows_of_one_cause_are_one_line_and_the_advice_is_about_them(
    settings: Settings, operator: AsyncConnection
) -> None:
    await consumed_life(settings)
    await operator.execute(
        text("INSERT INTO users (id, version) SELECT gen_random_uuid(), 1 FROM generate_series(1, 60)")
    )
    done = await asyncio.to_thread(run_command, settings, "verify")
    (line,) = [line for line in done.stdout.splitlines() if "unlogged" in line]
    assert re.search(r"\b60\b", line)
    assert "`reelsync rebuild` keeps rows that are not in the log" in done.stderr
    assert "repairs" not in done.stderr
    await operator.execute(text(f"UPDATE videos SET title = 'by hand' WHERE id = '{an_id(1)}'"))
    found = json.loads((await asyncio.to_thread(run_command, settings, "verify", "--json", "--limit", "2")).stdout)
    assert [(cause["what"], cause["rows"]) for cause in found["causes"]] == [("unlogged", 60), ("differs", 1)]
    assert [finding["what"] for finding in found["findings"]] == ["unlogged", "unlogged", "differs"]


async def test_a_group_that_has_consumed_nothing_is_no_success(settings: Settings, operator: AsyncConnection) -> None:
    for options in ((), ("--unlogged-ok",)):
        done = await asyncio.to_thread(run_command, settings, "verify", *options)
        assert (done.returncode, "has consumed nothing yet" in done.stderr) == (1, True), done.stderr
    await consumed_life(settings)
    place = f"topic = '{topic_of(settings, 'video')}' AND partition = 1"
    await operator.execute(text(f"DELETE FROM consumer_offsets WHERE {place}"))
    assert [place.number for place in (await verified(settings)).without_position] == [1]
    done = await asyncio.to_thread(run_command, settings, "verify", "--unlogged-ok")
    assert f"no position in {topic_of(settings, 'video')}/1" in done.stderr, done.stderr


async def test_a_group_that_reads_again_is_ahead_and_not_wrong(settings: Settings) -> None:
    await publish_log(settings, 2, events=60)
    async with consuming(settings):
        await until_applied(settings)
    done = run_command(settings, "offsets", "reset", "--all", "--to", "earliest", "--force")
    assert done.returncode == 0, done.stderr
    report = await verified(settings)
    assert report.ahead > 0
    assert not report.found


async def test_two_events_with_one_version_agree_with_either(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    events = [video("created", title="one"), video("created", title="two"), video("updated", title="three")]
    await publish(settings, topic, [(b"v", value) for value in events])
    async with consuming(settings):
        await until_applied(settings)
    assert agrees(await verified(settings))


async def test_consumers_may_go_on(settings: Settings) -> None:
    await publish_log(settings, 2, events=10)
    async with consuming(settings):
        await until_applied(settings)
        for seed in (3, 4):
            publishing = asyncio.create_task(publish_log(settings, seed))
            report = await verified(settings)
            assert not report.found
            await publishing
        await until_applied(settings)
    assert agrees(await verified(settings))


async def test_numbers_in_preferences_are_compared_as_numbers(settings: Settings) -> None:
    ids = {"user_id": an_id(1001), "version": 1}
    body = structured("user.preferences_changed", ids | {"preferences": {"n": [1e23, 1.0, 12345678901234567890123]}})
    await publish(settings, topic_of(settings, "user"), [(b"u", body)])
    async with consuming(settings):
        await until_applied(settings)
    assert agrees(await verified(settings))
