"""Erasing people beside others who write: whoever comes second sees what the first committed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.redrive import Redrive
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.operations.erase import count_rows, erase
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.sink import erasure
from reelsync.consumer.sink.erasure import ErasedPeople, erase_people, lock_alone
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.decode import decoder
from reelsync.models.engine import create_engine
from tests.support.builders import an_id, record, usage, user, video
from tests.support.erasing import erased, traces
from tests.support.roles import TEST_SCHEMA
from tests.support.running import eventually
from tests.support.writing import GROUP, batch_of, snapshot, write_all

PERSON = an_id(1001)
WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'erased_users'::regclass AND NOT granted"
POISON = record(b'{"user_id": "%s"' % PERSON.encode(), key=an_id(2).encode())


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    yield engine
    await engine.dispose()


async def write(engine: AsyncEngine, *events: Any, partition: int = 0) -> None:
    for offset, event in enumerate(events):
        event.offset = offset
    await write_all(engine, [events], Partition("user-events", partition))


async def waits(engine: AsyncEngine) -> None:
    async def is_waiting() -> object:
        async with engine.connect() as connection:
            return await connection.scalar(text(WAITING))

    await eventually(is_waiting, "one waits for the table of erased people")


async def test_who_erases_waits_for_a_batch_that_found_nobody_erased(engine: AsyncEngine) -> None:
    await write(engine, record(user("created"), topic="user-events"))
    async with engine.connect() as batch:
        assert await ErasedPeople().among(batch, [PERSON]) == set()
        erasing = asyncio.create_task(write(engine, erased(), partition=1))
        await waits(engine)
        late = f"INSERT INTO videos (id, user_id, version, title) VALUES ('{an_id(7)}', '{PERSON}', 1, 'x')"
        await batch.execute(text(late))
        await batch.commit()
    await erasing
    assert await traces(engine, [PERSON]) == []
    assert (await snapshot(engine))["videos"][an_id(7)]["title"] is None


async def test_a_careful_batch_that_erases_decodes_its_events_once_more(engine: AsyncEngine) -> None:
    place, records = Partition("user-events", 0), [record(user("created"), topic="user-events"), erased()]
    await Ledger(engine, GROUP).positions(None, {place: 0})
    batch, decoded = batch_of(records, place, 0), []
    decode, batch.decode = batch.decode, lambda found: decoded.append(found) or decode(found)
    await BatchWriter(engine, GROUP).write(batch, carefully=True)
    assert decoded == records
    assert await traces(engine, [PERSON]) == []


async def test_a_batch_waits_for_who_erases_and_then_knows(engine: AsyncEngine) -> None:
    async with engine.connect() as alone:
        await lock_alone(alone)
        batch = asyncio.create_task(
            write(
                engine, record(video("created")), record(user("created"), topic="user-events"), record(usage()), POISON
            )
        )
        await waits(engine)
        steps = [step async for step in erase_people(alone, [PERSON])]
        assert [(step.table, step.rows) for step in steps if step.rows] == [("erased_users", 1)]
        await alone.commit()
    await batch
    assert await traces(engine, [PERSON, "user_1", "user1@"]) == []
    tables = await snapshot(engine)
    assert (tables["users"], len(tables["videos"]), len(tables["model_usage"])) == ({}, 1, 1)


async def test_many_rows_are_erased_some_at_once(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "_ROWS_AT_ONCE", 2)
    videos = [record(video("created", number)) for number in range(1, 6)]
    await write(engine, *videos, *(record(usage(number, number)) for number in range(1, 6)))
    async with engine.begin() as connection:
        await lock_alone(connection)
        steps = [step async for step in erase_people(connection, [PERSON])]
    assert [step.rows for step in steps if step.table == "model_usage"] == [2, 2, 1]
    assert [len(step.videos) for step in steps if step.videos] == [2, 2, 1]
    assert await traces(engine, [PERSON]) == []


async def test_letters_of_an_earlier_release_are_looked_through_and_nothing_said_of_them_stays(
    engine: AsyncEngine,
) -> None:
    poison = record(b"<%s>" % PERSON.replace("-", "").upper().encode(), key=an_id(2).encode(), headers=(("h", None),))
    other = record(b"<%s>" % an_id(1002).encode(), key=an_id(3).encode())
    await write(engine, poison, other)
    async with engine.begin() as connection:
        said = """'[{"action": "corrected", "because": "user_1 wrote to us"}]'"""
        await connection.execute(text(f"UPDATE dead_letters SET named_ids = NULL, audit = {said}"))
    await write(engine, erased(), partition=1)
    async with engine.connect() as connection:
        columns = 'value IS NULL AS blank, audit FROM dead_letters ORDER BY "offset"'
        rows = (await connection.execute(text(f"SELECT {columns}"))).all()
    assert [row.blank for row in rows] == [True, False]
    assert (rows[0].audit, "because" in rows[1].audit[0]) == ([{"action": "corrected"}], True)


async def test_an_erasure_that_an_earlier_release_parked_is_redriven_with_the_letters_that_it_blanks(
    engine: AsyncEngine,
) -> None:
    await write(engine, record(video("created")), record(b"poison", key=an_id(1).encode()), POISON)
    unknown = erased()
    unknown.value = unknown.value.replace(b"user.erased", b"user.erasen")
    await write(engine, unknown, partition=1)
    async with engine.begin() as connection:
        right = (
            "UPDATE dead_letters SET value = convert_to(replace(encode(value, 'escape'), 'erasen', 'erased'), 'UTF8')"
        )
        await connection.execute(text(f"{right} WHERE reason = 'unknown_type'"))
    redrive = Redrive(engine, GROUP, BatchWriter(engine, GROUP), decoder(DEFAULT_TOPICS, 524_288))
    tally = await redrive.run(Selection(states=("parked",)))
    assert tally.applied == 1
    assert await traces(engine, [PERSON]) == []
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM dead_letters WHERE value IS NOT NULL")) == 0


async def test_an_operators_erasure_that_is_cut_off_holds_already_and_is_finished_by_doing_it_again(
    engine: AsyncEngine,
) -> None:
    await write(engine, record(user("created"), topic="user-events"), record(video("created")), record(usage()), POISON)

    def cut_off(_rows: int) -> None:
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await erase(engine, PERSON, "ticket", cut_off)
    assert await traces(engine, [PERSON]) != [], "only the first transaction was committed"
    await write(engine, record(user("updated", 1, 5, username="late_name"), topic="user-events"), partition=1)
    assert await traces(engine, ["late_name"]) == []
    done = await erase(engine, PERSON, None)
    assert await traces(engine, [PERSON, "user_1", "user1@"]) == []
    some = dict.fromkeys(("users", "videos", "video_states", "model_usage", "dead_letters"), 1)
    assert done == some | {"user_profiles": 0, "erased_users": 0}
    assert (await count_rows(engine, PERSON))["erased_before"] == 1
