"""A payload corrected by hand: out as JSON Lines, back in beside the original, applied, erased with its aggregate."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.corrections import Corrections, correct
from reelsync.consumer.dead_letters.jsonl import line_of
from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts
from reelsync.consumer.dead_letters.queries import all_letters
from reelsync.consumer.dead_letters.retention import blank_expired
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.records import Partition
from reelsync.consumer.sink.parking import lock
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.decode import decoder
from reelsync.testing.expected_tables import differences, expected_tables
from tests.letters.parking import DECODE, counted, letters, park, redrive
from tests.support.builders import an_id, record, user, video
from tests.support.running import eventually
from tests.support.writing import GROUP, snapshot, write_all

ENTRY = Entry("ticket 4711", "ann")
Line = dict[str, Any]
ODD = [
    record(
        video("progressed", 1, 2, progress=101), 0, key=an_id(1).encode(), headers=(("trace", b"\x00\xff"), ("n", None))
    ),
    record(b"\x89PNG\r\n\x1a\n", 1, key=b"\xff\xfe", headers=(("caf\udce9", b"x"),)),
    record(b"", 2, key=None, timestamp=-(2**62)),
    record(None, 3, key=b"no id"),
    record('{"a": "\\u0000é"}'.encode(), 4, partition=2, headers=(("", b""),)),
]


async def exported(engine: AsyncEngine) -> list[Line]:
    lines = []
    async with engine.connect() as connection:
        async for some in all_letters(connection, GROUP, Selection(), limit=2):
            lines += [json.loads(orjson.dumps(line_of(GROUP, letter))) for letter in some if not letter.is_blank]
    return lines


async def imported(engine: AsyncEngine, lines: Sequence[Any], **options: Any) -> Corrections:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return await correct(engine, GROUP, encoded, DECODE, ENTRY, **options)


def edited(line: Line, change: Callable[[Line], object]) -> Line:
    event = json.loads(line["value"])
    change(event)
    return line | {"value": event}


async def test_what_is_not_edited_comes_back_byte_for_byte(engine: AsyncEngine) -> None:
    await park(engine, ODD, DECODE)
    before = await letters(engine)
    assert [(letter["key"], letter["value"]) for letter in before] == [(one.key, one.value) for one in ODD]
    lines = await exported(engine)
    assert [line["offset"] for line in lines] == [0, 1, 2, 3, 4]
    assert await imported(engine, lines) == Corrections(unchanged=5)
    assert await letters(engine) == before


async def test_a_corrected_letter_is_applied_with_its_origin_and_its_original_kept(engine: AsyncEngine) -> None:
    await park(engine, ODD, DECODE)
    (line, *_) = await exported(engine)
    right = edited(line, lambda event: event["data"].update(progress=100))
    done = await imported(engine, [right])
    assert done == Corrections(corrected=1)
    letter = (await letters(engine))[0]
    assert (letter["value"], letter["state"], letter["redrives"]) == (ODD[0].value, "parked", 0)
    assert letter["corrected_headers"] == letter["headers"]
    assert [(entry["action"], entry["by"], entry["because"]) for entry in letter["audit"]] == [
        ("corrected", "ann", "ticket 4711")
    ]
    assert await imported(engine, [right]) == Corrections(unchanged=1)
    tally = await redrive(engine).run(Selection(corrected=True))
    assert tally.applied == 1
    corrected = SimpleNamespace(**{**vars(ODD[0]), "value": letter["corrected_value"]}, timestamp_ms=0)
    assert differences(expected_tables([corrected]), await snapshot(engine)) == []
    after = (await letters(engine))[0]
    assert (after["state"], after["attempts"], after["value"]) == ("redriven", 2, ODD[0].value)


async def test_all_lines_or_none_and_each_problem_is_named(engine: AsyncEngine) -> None:
    await park(engine, ODD, DECODE)
    lines = await exported(engine)
    good = edited(lines[0], lambda event: event["data"].update(progress=100))
    bad = edited(lines[0], lambda event: event["data"].update(progress="a secret"))
    strange = [
        b"{",
        b"[]",
        lines[1] | {"group": "another"},
        lines[1] | {"crc": 1},
        lines[1] | {"offset": "1"},
        lines[1] | {"value": "text", "value_base64": "AA=="},
        lines[1] | {"value_base64": "not base64!"},
        lines[1] | {"headers": [{"value": "nameless", "name": None}]},
        lines[2] | {"value": None},
        lines[1] | {"topic": "a\0b"},
    ]
    done = await imported(engine, [bad, *strange])
    assert [problem.partition(":")[0].partition(",")[0] for problem in done.problems] == [
        *(f"line {number}" for number in (2, 3, 4, 6, 7, 8, 9, 11)),
        *(f"line {number}" for number in (1, 5, 10)),
    ]
    said = "\n".join(done.problems)
    assert "line 1, video-events/0/0: is still a dead letter (invalid): data.progress: " in said
    assert "line 5, video-events/0/1: there is no such dead letter" in said
    assert "tombstone" in said
    assert "a secret" not in said
    assert (await imported(engine, [good, b"{"])).problems == ["line 2: is not JSON"]
    assert (await imported(engine, [good, good])).problems == [
        "line 2, video-events/0/0: is the letter of line 1 again"
    ]
    assert await imported(engine, [good], dry_run=True) == Corrections(corrected=1)
    assert {letter["corrected_headers"] is None for letter in await letters(engine)} == {True}


async def test_the_original_withdraws_a_correction(engine: AsyncEngine) -> None:
    await park(engine, ODD, DECODE)
    (line, *_) = await exported(engine)
    await imported(engine, [edited(line, lambda event: event["data"].update(progress=7))])
    (shown, *_) = await exported(engine)
    assert (shown["corrected"], json.loads(shown["value"])["data"]["progress"]) == (True, 7)
    assert await imported(engine, [line]) == Corrections(withdrawn=1)
    letter = (await letters(engine))[0]
    assert (letter["corrected_value"], letter["corrected_aggregate_id"]) == (None, None)
    assert [entry["action"] for entry in letter["audit"]] == ["corrected", "withdrawn"]


async def test_a_key_that_was_wrong_can_be_corrected(engine: AsyncEngine) -> None:
    """A tombstone with another key; what it then erases, letters included, is erased."""
    tombstone, about = record(None, 0, key=b"no id"), record(b"personal", 1, key=an_id(1).encode())
    await park(engine, [tombstone, about], DECODE)
    (line, _) = await exported(engine)
    assert await imported(engine, [line | {"key": an_id(1)}]) == Corrections(corrected=1)
    await redrive(engine).run(Selection(corrected=True))
    erased, blank = await letters(engine)
    assert (erased["state"], blank["headers"]) == ("redriven", None)
    assert (await snapshot(engine))["videos"][an_id(1)]["deleted_at"] is not None


def _about_user_1(value: bytes) -> Any:
    return record(value, 0, key=b"garbage", topic="user-events")


BAD_USER = user("created", 1, username="no spaces, please").replace(an_id(1001).encode(), b"not an id")
TOMBSTONE = record(None, 1, key=an_id(1001).encode(), topic="user-events")


def mend(event: Any) -> None:
    event["data"] |= {"username": "fine", "user_id": an_id(1001)}


async def test_erasing_the_aggregate_of_a_correction_blanks_it_and_the_original(engine: AsyncEngine) -> None:
    """Neither its key nor its data told whose it was; the correction does."""
    await park(engine, [_about_user_1(BAD_USER)], DECODE)
    (line,) = await exported(engine)
    await imported(engine, [edited(line, mend)])
    await write_all(engine, [[TOMBSTONE]], Partition("user-events", 0))
    (letter,) = await letters(engine)
    payload = {name: letter[name] for name in letter if name.split("_")[-1] in {"key", "value", "headers"}}
    assert set(payload.values()) == {None}, payload
    assert (await redrive(engine).run(Selection())).blank == 1
    assert (await snapshot(engine))["users"][an_id(1001)]["username"] is None
    again = await imported(engine, [edited(line, mend)])
    assert "is blank" in again.problems[0]
    # Met again in a replay, it stays blank: only the correction told whose it is.
    await park(engine, [_about_user_1(BAD_USER)], DECODE)
    (letter,) = await letters(engine)
    assert (letter["value"], letter["headers"], letter["state"]) == (None, None, "parked")


async def test_a_correction_for_an_aggregate_that_is_erased_already_is_blank_at_once(engine: AsyncEngine) -> None:
    await write_all(engine, [[TOMBSTONE]], Partition("user-events", 0))
    await park(engine, [_about_user_1(BAD_USER)], DECODE)
    (line,) = await exported(engine)
    assert (await imported(engine, [edited(line, mend)])).corrected == 1
    (letter,) = await letters(engine)
    assert (letter["value"], letter["corrected_value"]) == (None, None)


async def test_what_an_older_consumer_leaves_of_an_erasure_is_not_applied_and_is_blanked(engine: AsyncEngine) -> None:
    await park(engine, ODD[:1], DECODE)
    (line,) = await exported(engine)
    await imported(engine, [edited(line, lambda event: event["data"].update(progress=7))])
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET key = NULL, value = NULL, headers = NULL"))
    tally = await redrive(engine).run(Selection())
    assert (tally.blank, tally.applied, (await snapshot(engine))["videos"]) == (1, 0, {})
    await blank_expired(engine, GROUP, timedelta(days=1))
    (letter,) = await letters(engine)
    assert (letter["corrected_value"], letter["corrected_headers"]) == (None, None)


async def test_an_import_and_a_batch_that_erases_do_not_wait_for_each_other(engine: AsyncEngine) -> None:
    """The batch has the erasure's lock and is about to blank letters; the import begins meanwhile."""
    await park(engine, ODD[:1], decoder({}, 1))
    (line,) = await exported(engine)
    async with engine.begin() as batch:
        await lock(batch, alone=True)
        mended = edited(line, lambda event: event["data"].update(progress=7))
        importing = asyncio.create_task(imported(engine, [mended]))

        async def waits() -> bool:
            async with engine.connect() as other:
                return bool(await other.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

        await eventually(waits, "the import waits for the batch")
        await batch.execute(text("SELECT FROM dead_letters FOR NO KEY UPDATE NOWAIT"))
        await batch.execute(text("UPDATE dead_letters SET attempts = attempts + 1"))
    assert (await importing).corrected == 1
    (letter,) = await letters(engine)
    assert (letter["attempts"], letter["corrected_headers"] is None) == (2, False)


async def test_only_parked_letters_are_corrected(engine: AsyncEngine) -> None:
    await park(engine, ODD[:1], decoder({}, 1))
    (line,) = await exported(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET state = 'discarded'"))
    done = await imported(engine, [edited(line, lambda event: event["data"].update(progress=7))])
    assert "is discarded, and only parked letters are corrected" in done.problems[0]
    assert await counted(engine) == {("discarded", 1): 1}


async def test_a_corrected_name_conflict_is_redriven_with_the_others(engine: AsyncEngine) -> None:
    clash = [
        record(user("created", n, username="bob", email=f"{n}@x"), n, key=an_id(1000 + n).encode()) for n in (0, 1)
    ]
    await park(engine, clash)
    await redrive(engine).run(Selection())
    (line,) = await exported(engine)
    assert line["reason"] == "conflict"
    await imported(engine, [edited(line, lambda event: event["data"].update(username="bobby"))])
    done = await redrive_conflicts(engine, GROUP, BatchWriter(engine, GROUP), DECODE)
    assert (done.applied, done.parked) == (1, 0)
    names = {row["username"] for row in (await snapshot(engine))["users"].values()}
    assert names == {"bob", "bobby"}
