"""`reelsync dlq`, run as a person on call would: output, exit codes, and no payload where none belongs."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.cli.dlq.selection import selection_of
from reelsync.consumer.cli.terminal import UsageError
from reelsync.consumer.dead_letters.queries import all_letters, count, latest
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.settings import Settings
from tests.letters.commanding import run_inside
from tests.letters.parking import DECODE, counted, park, videos
from tests.letters.test_redriving_names import park_rotation
from tests.support.builders import an_id, record, video
from tests.support.roles import TEST_SCHEMA, roles_of
from tests.support.writing import GROUP

SECRET = "hunter2-do-not-print"
PLACE = "video-events/0/0"
POISON = [
    record(video("progressed", 1, 2, progress=101, note=SECRET), 0, key=an_id(1).encode()),
    record(video("exploded\x1b[31m", 2), 1, key=an_id(2).encode()),
    record(SECRET.encode(), 2, key=an_id(3).encode()),
]


@pytest.fixture
def letters_settings(database: str) -> Settings:
    return Settings.model_validate({"kafka": {"group_id": GROUP}, "database": {"url": database, "schema": TEST_SCHEMA}})


async def dlq(settings: Settings, *arguments: str, code: int = 0) -> Any:
    """What the command says: its JSON, if that was asked for."""
    done = await run_inside(settings, "dlq", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done


async def test_list_narrows_and_counts_and_shows_no_payload(engine: AsyncEngine, letters_settings: Settings) -> None:
    await park(engine, POISON, DECODE)
    narrow = ("--reason", "invalid", "--reason", "not_json", "--since", "1h", "--topic", "video-events")
    assert sorted(row["offset"] for row in await dlq(letters_settings, "list", *narrow, "--json")) == [0, 2]
    counted_letters = await dlq(letters_settings, "list", "--count", "--json")
    assert counted_letters["letters"] == 3
    assert {(group["reason"], group["path"], group["letters"]) for group in counted_letters["groups"]} == {
        ("invalid", "data.progress", 1),
        ("unknown_type", "type", 1),
        ("not_json", None, 1),
    }
    shown = await dlq(letters_settings, "list", "--limit", "2")
    assert "there are more" in shown.stderr
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == [PLACE, "video-events/0/1"]
    assert "data.progress: " in shown.stdout
    for said in (shown, await dlq(letters_settings, "list", "--count")):
        assert SECRET not in said.stdout + said.stderr
        assert "\x1b[31m" not in said.stdout


@pytest.mark.parametrize(
    ("selection", "offsets"),
    [
        (selection_of(), [0, 1, 2]),
        (selection_of(reason=["invalid", "not_json"]), [0, 2]),
        (selection_of(event_type=["video.progressed"]), [0]),
        (selection_of(topic=["user-events"]), []),
        (selection_of(aggregate=an_id(2)), [1]),
        (selection_of(since="1h"), [0, 1, 2]),
        (selection_of(until="1h"), []),
        (selection_of(since="2020-01-01", until="2021-01-01T00:00:00Z"), []),
        (selection_of(place=PLACE), [0]),
        (selection_of(after=PLACE), [1, 2]),
        (selection_of(states=("redriven", "discarded")), []),
        (selection_of(corrected=True), []),
        (selection_of(untried=True), [0, 1, 2]),
    ],
)
async def test_each_filter_selects(engine: AsyncEngine, selection: Selection, offsets: list[int]) -> None:
    await park(engine, POISON, DECODE)
    async with engine.connect() as connection:
        listed = [row["offset"] async for page in latest(connection, GROUP, selection, 10) for row in page]
        assert sorted(listed) == offsets
        assert await count(connection, GROUP, selection) == len(offsets)
        found = [letter async for some in all_letters(connection, GROUP, selection, 1) for letter in some]
        assert [letter.key.offset for letter in found] == offsets


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reason": ["nonsense"]}, "--reason must be one of"),
        ({"since": "yesterday"}, "--since must be a time"),
        ({"until": "5parsecs"}, "--until must be a time"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "--since must be a time"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "--until must be a time"),
        ({"since": "999999w"}, None),
        ({"aggregate": "7"}, "--aggregate must be an id"),
        ({"place": "video-events/0/99999999999999999999"}, "named TOPIC/PARTITION/OFFSET"),
        ({"place": "video-events/0"}, "named TOPIC/PARTITION/OFFSET"),
        ({"place": "video-events/٣/1"}, "named TOPIC/PARTITION/OFFSET"),
    ],
)
def test_what_is_asked_wrongly_is_said_so(options: Any, said: str | None) -> None:
    if said is None:
        assert selection_of(**options)
        return
    with pytest.raises(UsageError, match=said):
        selection_of(**options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("redrive",), "use --all"), (("discard", PLACE), "--because"), (("purge", "--older-than", "soon"), "a duration")],
)
async def test_what_is_not_said_is_asked_for(letters_settings: Settings, arguments: tuple[str, ...], said: str) -> None:
    assert said in " ".join((await dlq(letters_settings, *arguments, code=2)).stderr.split())


async def test_show_has_the_error_with_its_path_the_advice_and_both_forms(
    engine: AsyncEngine, letters_settings: Settings
) -> None:
    await park(engine, POISON, DECODE)
    shown = (await dlq(letters_settings, "show", PLACE)).stdout
    assert "problem: data.progress: " in shown
    assert "advice: Have the publisher correct these fields" in shown
    assert f"key: {an_id(1)}" in shown
    assert '\n    "progress": 101' in shown
    (told,) = await dlq(letters_settings, "show", PLACE, "--json")
    assert (told["decoded"]["data"]["progress"], told["problems_now"][0][:13]) == (101, "data.progress")
    strange = (await dlq(letters_settings, "show", "video-events/0/1")).stdout
    assert "\x1b[31m" not in strange
    assert "\\x1b[31m" in strange


async def test_a_payload_is_corrected_by_hand_and_redriven(
    engine: AsyncEngine, letters_settings: Settings, tmp_path: Path
) -> None:
    await park(engine, POISON[:1], DECODE)
    line = json.loads((await dlq(letters_settings, "export", "--reason", "invalid")).stdout)
    file = tmp_path / "letters.jsonl"
    file.write_text(json.dumps(line))
    assert (await dlq(letters_settings, "import", str(file), "--json"))["unchanged"] == 1
    event = json.loads(line["value"])
    file.write_text(json.dumps(line | {"value": event | {"data": event["data"] | {"progress": -1}}}))
    still = await dlq(letters_settings, "import", str(file), code=1)
    assert "line 1, video-events/0/0: is still a dead letter (invalid): data.progress" in still.stderr
    assert SECRET not in still.stderr
    file.write_text(json.dumps(line | {"value": event | {"data": event["data"] | {"progress": 100}}}))
    stored = await dlq(letters_settings, "import", str(file), "--because", "ticket 4711")
    assert "1 corrected" in stored.stderr
    shown = (await dlq(letters_settings, "show", PLACE)).stdout
    assert "corrected value, decoded" in shown
    assert "by reelsync_run: ticket 4711" in shown
    assert "It is valid for this version of reelsync" in shown
    report = await dlq(letters_settings, "redrive", "--corrected", "--json")
    assert (report["applied"], report["still_parked"]) == (1, {})
    assert await counted(engine) == {("redriven", 2): 1}


async def test_redrive_dry_run_first_then_what_was_said(engine: AsyncEngine, letters_settings: Settings) -> None:
    await park(engine, [*videos(20), record(b"no json", 50), record(video("created", 51), 51)])
    would = await dlq(letters_settings, "redrive", "--all", "--dry-run", "--json")
    assert (would["applied"], would["still_parked"], await counted(engine)) == (
        21,
        {"not_json": 1},
        {("parked", 1): 22},
    )
    did = await dlq(letters_settings, "redrive", "--all", "--json", code=1)
    assert (did["applied"], did["still_parked"]) == (21, {"not_json": 1})
    assert (await dlq(letters_settings, "redrive", "--all", "--untried", "--json"))["attempted"] == 0
    limits = letters_settings.dead_letters.model_copy(update={"max_redrives": 1})
    hasty = letters_settings.model_copy(update={"dead_letters": limits})
    refused = await dlq(hasty, "redrive", "--all", code=1)
    assert "1 left out, because 1 redrives did not help" in " ".join(refused.stderr.split())
    assert (await dlq(hasty, "redrive", "--all", "--force", "--json", code=1))["attempted"] == 1


async def test_discard_restore_and_purge(engine: AsyncEngine, letters_settings: Settings, operator_url: str) -> None:
    await park(engine, POISON, DECODE)
    assert await dlq(letters_settings, "discard", "--reason", "invalid", "--because", "x", "--dry-run", "--json") == {
        "discarded": 0,
        "selected": 1,
        "dry_run": True,
    }
    assert (await dlq(letters_settings, "discard", PLACE, "--because", "test traffic", "--json"))["discarded"] == 1
    assert "discarded: " in (await dlq(letters_settings, "show", PLACE)).stdout
    assert (await dlq(letters_settings, "restore", PLACE, "--json"))["restored"] == 1
    await dlq(letters_settings, "restore", PLACE, code=1)
    assert await counted(engine) == {("parked", 1): 3}
    refused = await dlq(letters_settings, "purge", "--older-than", "1d", code=1)
    assert "must name the role that migrates" in " ".join(refused.stderr.split())
    migrate_url = roles_of(operator_url, database=str(make_url(operator_url).database)).migrate_url
    owner = letters_settings.model_copy(deep=True)
    owner.database = owner.database.model_validate({"url": migrate_url, "schema": TEST_SCHEMA})
    assert (await dlq(owner, "purge", "--older-than", "1d", "--json"))["purged"] == 0
    await dlq(letters_settings, "discard", PLACE, "--because", "test traffic", "--json")
    async with engine.begin() as connection:
        ago = "now() - interval '3 days'"
        await connection.execute(text(f"UPDATE dead_letters SET closed_at = {ago}, last_attempt_at = {ago}"))
    asked = await dlq(owner, "purge", "--older-than", "1d", code=2)
    assert "1 letter will be deleted, which cannot be undone. Nothing was changed: add --yes" in asked.stderr
    assert (await dlq(owner, "purge", "--older-than", "1d", "--yes", "--json"))["purged"] == 1


async def test_redriving_a_place_where_none_is_parked_fails(engine: AsyncEngine, letters_settings: Settings) -> None:
    await park(engine, videos(1))
    done = await dlq(letters_settings, "redrive", "video-events/0/7", code=1)
    assert "No letter is parked at video-events/0/7" in done.stderr
    await dlq(letters_settings, "redrive", PLACE)
    await dlq(letters_settings, "redrive", PLACE, code=1)


async def test_a_letter_that_becomes_a_name_conflict_and_is_applied_with_the_others_is_no_failure(
    engine: AsyncEngine, letters_settings: Settings
) -> None:
    """Of two letters that swap names one alone is redriven, and finds its name taken."""
    await park_rotation(engine, 2)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET reason = 'too_large' WHERE \"offset\" = 0"))
    told = await dlq(letters_settings, "redrive", PLACE, "--json")
    assert (told["still_parked"], told["conflicts"]) == ({}, {"applied": 2, "parked": 0})
    assert await counted(engine) == {("redriven", 2): 1, ("redriven", 3): 1}
