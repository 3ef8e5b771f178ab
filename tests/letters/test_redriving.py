"""Letters that are valid now become rows, once in effect; the others stay, with what is wrong with them now."""

import asyncio
import dataclasses
import random
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.dead_letters.closing import discard
from reelsync.consumer.dead_letters.redrive import Tally
from reelsync.consumer.dead_letters.selection import Place, Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import decoder
from reelsync.testing.expected_tables import differences, expected_tables
from tests.letters.parking import counted, letters, park, redrive, videos
from tests.letters.slow_rows import impatient, slow_row
from tests.support.builders import an_id, record, user, video
from tests.support.writing import GROUP, snapshot, write_all

EVERYTHING = Selection()


def expected(records: list[Any]) -> Any:
    return expected_tables([SimpleNamespace(**vars(one), timestamp_ms=one.timestamp) for one in records])


async def test_what_is_valid_now_becomes_rows_and_the_rest_stays_with_what_is_wrong_now(engine: AsyncEngine) -> None:
    valid = videos(60)
    poison = [record(video("progressed", n, progress=101), 60 + n, key=an_id(n).encode()) for n in range(5)]
    await park(engine, valid + poison)
    assert await counted(engine) == {("parked", 1): 65}
    told: list[int] = []
    tally = await redrive(engine, at_once=20).run(EVERYTHING, lambda so_far: told.append(so_far.attempted))
    assert (tally.applied, dict(tally.still), told) == (60, {"invalid": 5}, [20, 40, 60, 65])
    assert await counted(engine) == {("redriven", 2): 60, ("parked", 2): 5}
    assert differences(expected(valid), await snapshot(engine)) == []
    for letter in await letters(engine):
        if letter["state"] == "parked":
            assert (letter["stage"], letter["event_type"], letter["closed_at"]) == (
                "validate",
                "video.progressed",
                None,
            )
            assert letter["detail"]["problems"][0]["path"] == "data.progress"
        else:
            assert (letter["event_type"], letter["redrives"]) == ("video.created", 0)
            assert letter["closed_at"] is not None


async def test_redriving_after_newer_events_changes_nothing_that_they_set(engine: AsyncEngine) -> None:
    old = [record(video("created", 1, title="old"), 0, key=an_id(1).encode())]
    new = [record(video("updated", 1, 2, title="new"), 1, key=an_id(1).encode())]
    await park(engine, old)
    await write_all(engine, [new], Partition("video-events", 0))
    await redrive(engine).run(EVERYTHING)
    (row,) = (await snapshot(engine))["videos"].values()
    assert (row["title"], row["status"], row["version"]) == ("new", "pending", 2)
    assert differences(expected(old + new), await snapshot(engine)) == []


async def test_an_event_that_the_database_refuses_stays_alone(engine: AsyncEngine) -> None:
    """bob twice: a name conflict that nobody knew of while both were too large."""
    clash = [
        record(user("created", n, username="bob", email=f"{n}@x"), n, key=an_id(1000 + n).encode()) for n in (0, 1)
    ]
    await park(engine, [*clash, *(videos(30, first_offset=2))])
    tally = await redrive(engine).run(EVERYTHING)
    assert (tally.applied, dict(tally.still)) == (31, {"conflict": 1})
    (parked,) = [letter for letter in await letters(engine) if letter["state"] == "parked"]
    assert (parked["stage"], parked["detail"]["constraint"], parked["attempts"]) == ("write", "uq_users_username", 2)


async def test_only_what_is_selected_is_attempted(engine: AsyncEngine) -> None:
    await park(engine, videos(9))
    await redrive(engine).run(Selection(place=Place("video-events", 1, 4)))
    assert [letter["offset"] for letter in await letters(engine) if letter["state"] == "redriven"] == [4]
    await redrive(engine).run(dataclasses.replace(EVERYTHING, after=Place("video-events", 1, 4)))
    assert [letter["offset"] for letter in await letters(engine) if letter["state"] == "redriven"] == [2, 4, 5, 7, 8]


async def test_what_was_tried_too_often_is_left_out_until_it_is_forced(engine: AsyncEngine) -> None:
    await park(engine, [record(b"no json", 0)])
    limited = Selection(redrives_below=2)
    assert [(await redrive(engine).run(limited)).attempted for _ in range(4)] == [1, 1, 0, 0]
    assert (await redrive(engine).run(EVERYTHING)).attempted == 1
    assert await counted(engine) == {("parked", 4): 1}


async def test_a_redrive_that_helped_does_not_count_when_the_record_is_met_again(engine: AsyncEngine) -> None:
    limited = Selection(redrives_below=2)
    for _ in range(4):
        await park(engine, videos(1))
        async with engine.begin() as connection:
            # As a replay: the position goes back, and the record is parked again.
            await connection.execute(text("UPDATE consumer_offsets SET next_offset = 0"))
        assert (await redrive(engine).run(limited)).applied == 1
    assert await counted(engine) == {("redriven", 8): 1}


async def test_redrives_at_the_same_time_attempt_each_letter_once_in_effect(engine: AsyncEngine) -> None:
    valid = videos(400)
    poison = [record(b"no json", 1000 + n) for n in range(10)]
    await park(engine, valid + poison)
    tallies = await asyncio.gather(*(redrive(engine, at_once=25).run(EVERYTHING) for _ in range(3)))
    assert sum(tally.applied for tally in tallies) == 400
    # Those that are still wrong were parked, so each run may attempt them, and each attempt is counted.
    attempted = sum(tally.still.total() for tally in tallies)
    assert sum(letter["attempts"] - 1 for letter in await letters(engine) if letter["state"] == "parked") == attempted
    assert {key for key in await counted(engine) if key[0] == "redriven"} == {("redriven", 2)}
    assert differences(expected(valid), await snapshot(engine)) == []


async def test_a_letter_that_somebody_discards_meanwhile_is_not_applied(engine: AsyncEngine) -> None:
    """Between reading and closing: the transaction is rolled back, and the letter left alone."""
    await park(engine, videos(3))
    running = redrive(engine)
    merge = running.writer.merge_carefully
    place = Place("video-events", 1, 1)

    async def discard_then_merge(connection: Any, events: Any) -> Any:
        running.writer.merge_carefully = merge
        async with engine.begin() as other:
            await other.execute(text("UPDATE dead_letters SET state = 'discarded' WHERE \"offset\" = 1"))
        return await merge(connection, events)

    running.writer.merge_carefully = discard_then_merge
    tally = await running.run(EVERYTHING)
    assert (tally.applied, await counted(engine)) == (2, {("redriven", 2): 2, ("discarded", 1): 1})
    assert an_id(1) not in (await snapshot(engine))["videos"]
    assert await discard(engine, GROUP, Selection(place=place), Entry("again")) == 0


async def test_a_redriven_tombstone_erases_and_blanks(engine: AsyncEngine) -> None:
    """Parked because the topic was not known to be about videos; known now."""
    tombstone = record(None, 0, key=an_id(1).encode(), topic="video-events")
    poison = record(b"about somebody", 1, key=an_id(1).encode())
    await park(engine, [tombstone, poison], decoder({}, 524_288))
    assert [letter["reason"] for letter in await letters(engine)] == ["bad_tombstone", "not_json"]
    await redrive(engine).run(Selection(reasons=("bad_tombstone",)))
    erased, blank = await letters(engine)
    assert (erased["state"], blank["value"], blank["headers"]) == ("redriven", None, None)
    tally = await redrive(engine).run(EVERYTHING)
    assert (tally.blank, await counted(engine)) == (1, {("redriven", 2): 2})


async def test_big_letters_are_read_a_few_at_a_time(engine: AsyncEngine) -> None:
    big = [record(video("created", n) + b" " * 3_000_000, n, key=an_id(n).encode()) for n in range(8)]
    await park(engine, big)
    told: list[Tally] = []
    roomy = decoder(DEFAULT_TOPICS, 5_000_000)
    tally = await redrive(engine, decode=roomy).run(EVERYTHING, lambda so_far: told.append(dataclasses.replace(so_far)))
    assert (tally.applied, len(told)) == (8, 3)


@pytest.mark.parametrize("seed", range(3))
async def test_any_order_of_redrives_parks_and_events_ends_in_one_table(engine: AsyncEngine, seed: int) -> None:
    """Half of a log is parked first, and redriven in pieces among the events of the other half."""
    rng = random.Random(seed)
    log = [
        record(video(kind, n, version, owner=n % 3), 0, key=an_id(n).encode())
        for n in range(20)
        for version, kind in enumerate(("created", "processing", "progressed", "completed", "updated"), start=1)
    ]
    rng.shuffle(log)
    for offset, one in enumerate(log):
        one.offset = offset
    early, late = log[::2], log[1::2]
    await park(engine, early)
    for number in range(10):
        part = late[number * 5 : number * 5 + 5]
        for one in part:
            one.partition = 1
        await write_all(engine, [part], Partition("video-events", 1))
        await redrive(engine).run(Selection(place=Place("video-events", 0, rng.choice(early).offset)))
    await redrive(engine, at_once=7).run(EVERYTHING)
    assert {state for state, _ in await counted(engine)} == {"redriven"}
    assert differences(expected(log), await snapshot(engine)) == []


async def test_a_video_whose_statements_always_time_out_keeps_only_its_own_letters_parked(
    engine: AsyncEngine, database: str, operator: AsyncConnection
) -> None:
    await park(engine, videos(40))
    async with impatient(database) as hasty:
        await slow_row(operator, "videos", an_id(17))
        tally = await redrive(hasty).run(EVERYTHING)
    assert (tally.applied, dict(tally.still)) == (39, {"too_large": 1})
    (parked,) = [letter for letter in await letters(engine) if letter["state"] == "parked"]
    assert parked["offset"] == 17


async def test_a_row_that_somebody_holds_for_good_keeps_only_its_own_letter_parked(
    engine: AsyncEngine, database: str
) -> None:
    await write_all(engine, [[record(video("created", 5), 0, key=an_id(5).encode())]], Partition("video-events", 0))
    await park(engine, videos(9, first_offset=1))
    async with impatient(database) as hasty:
        async with engine.begin() as holder:
            await holder.execute(text(f"SELECT FROM videos WHERE id = '{an_id(5)}' FOR UPDATE"))
            tally = await redrive(hasty).run(EVERYTHING)
            assert (tally.applied, dict(tally.still)) == (8, {"too_large": 1})
        assert (await redrive(hasty).run(EVERYTHING)).applied == 1
