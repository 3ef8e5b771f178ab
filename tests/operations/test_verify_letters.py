"""`reelsync verify` beside dead letters: parked, deleted, corrected, redriven, or applied by a replay."""

import asyncio
import json
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.operations.verifying import agrees, verified
from tests.support.builders import an_id, user, video
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied


async def test_a_record_that_was_never_parked_is_named(settings: Settings, operator: AsyncConnection) -> None:
    await publish(settings, topic_of(settings, "video"), [(b"x", b"poison"), (b"x", video("created"))])
    async with consuming(settings):
        await until_applied(settings)
    assert agrees(await verified(settings))
    await operator.execute(text("DELETE FROM dead_letters"))
    assert [found.kind for found in (await verified(settings)).findings] == ["no_letter"]
    done = await asyncio.to_thread(run_command, settings, "verify", "--deleted-letters-ok")
    assert done.returncode == 0, done.stderr


async def test_a_payload_corrected_by_hand_is_what_the_rows_must_hold(
    settings: Settings, operator: AsyncConnection, tmp_path: Path
) -> None:
    events = [video("created"), video("progressed", version=2, progress=101)]
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), value) for value in events])
    async with consuming(settings):
        await until_applied(settings)
    line = json.loads((await asyncio.to_thread(run_command, settings, "dlq", "export")).stdout)
    event = json.loads(line["value"])
    edited = tmp_path / "letters.jsonl"
    edited.write_text(json.dumps(line | {"value": event | {"data": event["data"] | {"progress": 77}}}))
    for words in (("import", str(edited)), ("redrive", "--corrected")):
        done = await asyncio.to_thread(run_command, settings, "dlq", *words)
        assert done.returncode == 0, done.stderr
    assert [row["progress"] for row in await rows_of(settings, "videos")] == [77]
    assert agrees(await verified(settings))
    await operator.execute(text("UPDATE videos SET progress = 78"))
    assert [found.columns for found in (await verified(settings)).findings] == [("progress",)]
    await operator.execute(text("UPDATE dead_letters SET headers = NULL, corrected_headers = NULL"))
    blank = await verified(settings)
    assert (blank.corrected, blank.found.total()) == (1, 0)
    await operator.execute(text("UPDATE videos SET details_version = 0, title = 'x'"))
    (found,) = (await verified(settings)).findings
    assert (found.kind, found.columns) == ("differs", ("details_version", "title")), "no correction lowers a version"


async def test_an_erased_row_that_was_filled_again_is_named_though_a_letter_of_it_was_redriven(
    settings: Settings, operator: AsyncConnection
) -> None:
    key = an_id(1001).encode()
    values = [user("created"), user("preferences_changed", version=-2), None]
    await publish(settings, topic_of(settings, "user"), [(key, value) for value in values])
    async with consuming(settings):
        await until_applied(settings)
    done = await asyncio.to_thread(run_command, settings, "dlq", "redrive", "--reason", "invalid")
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in await rows_of(settings, "dead_letters")] == ["redriven"]
    assert agrees(await verified(settings))
    await operator.execute(text("UPDATE users SET username = 'again'"))
    assert [found.columns for found in (await verified(settings)).findings] == [("username",)]


async def test_letters_that_a_replay_applied_are_ahead_and_not_unlogged(settings: Settings) -> None:
    kafka = settings.kafka.model_copy(update={"max_value_bytes": 400})
    narrow = settings.model_copy(update={"kafka": kafka})
    events = [video("created"), video("updated", version=2, description="x" * 400)]
    await publish(settings, topic_of(settings, "video"), [(b"v", value) for value in events])
    async with consuming(narrow):
        await until_applied(narrow)
    assert (await verified(settings)).ahead == 0
    done = await asyncio.to_thread(run_command, settings, "offsets", "reset", "--all", "--to", "earliest", "--force")
    assert done.returncode == 0, done.stderr
    async with consuming(settings):
        await until_applied(settings)
    assert [row["state"] for row in await rows_of(settings, "dead_letters")] == ["parked"]
    report = await verified(settings)
    assert (report.ahead, report.found.total()) == (1, 0)


async def test_what_is_parked_is_not_expected_and_names_that_were_released_are_in_order(settings: Settings) -> None:
    users = [
        user("created", 1, username="bob"),
        user("created", 2, username="carol", email="c@example.com"),
        user("updated", 2, version=2, username="bob", email="c@example.com"),
    ]
    await publish(settings, topic_of(settings, "user"), [(b"same", value) for value in users])
    async with consuming(settings):
        await until_applied(settings)

        async def released() -> bool:
            return None in {row["username"] for row in await rows_of(settings, "users")}

        await eventually(released, "the redrive released carol's name")
    report = await verified(settings)
    assert (report.waiting_for_names, report.found.total()) == (1, 0)
