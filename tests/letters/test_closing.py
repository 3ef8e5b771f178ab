"""Discarding, restoring, retention and purging: who may, what stays, and that nothing is lost on the way."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.closing import discard, restore
from reelsync.consumer.dead_letters.retention import blank_expired, count_expired, purge
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.models.engine import create_engine
from tests.letters.parking import counted, letters, park, redrive, videos
from tests.support.builders import an_id, record, video
from tests.support.roles import TEST_SCHEMA, roles_of
from tests.support.writing import GROUP, snapshot

DAY = timedelta(days=1)
PAYLOAD = ("key", "value", "headers")


async def make_older(engine: AsyncEngine, days: int) -> None:
    async with engine.begin() as connection:
        columns = ("first_seen_at", "last_attempt_at", "closed_at")
        moved = ", ".join(f"{name} = {name} - make_interval(days => :days)" for name in columns)
        await connection.execute(text(f"UPDATE dead_letters SET {moved}"), {"days": days})


async def test_a_discarded_letter_keeps_why_and_who_and_comes_back(engine: AsyncEngine) -> None:
    await park(engine, videos(3))
    some = Selection(topics=("video-events",), event_types=())
    assert await discard(engine, GROUP, some, Entry("test traffic")) == 3
    assert await redrive(engine).run(Selection()) is not None
    assert await counted(engine) == {("discarded", 1): 3}
    await park(engine, videos(3))
    assert await counted(engine) == {("discarded", 1): 3}
    assert await restore(engine, GROUP, Selection(), Entry("it was real", "ann")) == 3
    (first, *_) = await letters(engine)
    assert [(entry["action"], entry["because"]) for entry in first["audit"]] == [
        ("discarded", "test traffic"),
        ("parked", "it was real"),
    ]
    assert [entry["by"] for entry in first["audit"]] == ["reelsync_run", "ann"]
    assert (first["state"], first["closed_at"], first["value"]) == ("parked", None, videos(1)[0].value)
    assert (await redrive(engine).run(Selection())).applied == 3


async def test_thousands_are_discarded_in_the_order_of_their_keys(engine: AsyncEngine, monkeypatch: Any) -> None:
    monkeypatch.setattr("reelsync.consumer.dead_letters.closing.LETTERS_AT_ONCE", 7)
    await park(engine, videos(30))
    told: list[int] = []
    assert await discard(engine, GROUP, Selection(), Entry("why"), told.append) == 30
    assert told == [7, 14, 21, 28, 30]


async def test_retention_blanks_what_is_closed_and_never_what_is_parked(engine: AsyncEngine) -> None:
    poison = [record(b"no json", 100 + n, key=an_id(n).encode()) for n in range(4)]
    await park(engine, videos(3) + poison)
    await redrive(engine).run(Selection())
    await discard(engine, GROUP, Selection(reasons=("not_json",), topics=("video-events",)), Entry("why"))
    await park(engine, [record(b"another", 200)])
    await make_older(engine, 10)
    assert await blank_expired(engine, GROUP, 11 * DAY) == 0
    assert await blank_expired(engine, GROUP, 9 * DAY, at_once=2) == 7
    blank = {letter["state"] for letter in await letters(engine) if all(letter[name] is None for name in PAYLOAD)}
    whole = {letter["state"] for letter in await letters(engine) if letter["value"] is not None}
    assert (blank, whole) == ({"redriven", "discarded"}, {"parked"})
    assert await restore(engine, GROUP, Selection(), Entry("too late")) == 0


async def test_a_letter_that_was_discarded_late_has_its_whole_retention(engine: AsyncEngine) -> None:
    await park(engine, [record(b"no json")])
    await make_older(engine, 100)
    await discard(engine, GROUP, Selection(), Entry("why"))
    assert await blank_expired(engine, GROUP, DAY) == 0
    await make_older(engine, 2)
    assert await blank_expired(engine, GROUP, DAY) == 1


async def test_a_blank_letter_that_is_met_again_is_parked_whole(engine: AsyncEngine) -> None:
    """A replay of the log, after the rows were lost: it must not be taken for applied."""
    await park(engine, videos(3))
    await redrive(engine).run(Selection())
    await make_older(engine, 10)
    assert await blank_expired(engine, GROUP, DAY) == 3
    await park(engine, videos(3))
    assert [letter["value"] for letter in await letters(engine)] == [one.value for one in videos(3)]
    assert (await redrive(engine).run(Selection())).applied == 3
    assert len((await snapshot(engine))["videos"]) == 3


async def test_an_erased_letter_that_is_met_again_stays_blank(engine: AsyncEngine) -> None:
    poison = record(b"personal", 0, key=an_id(1).encode())
    await park(engine, [poison])
    tombstone = record(None, 1, key=an_id(1).encode())
    for again in range(2):
        await park(engine, [tombstone, poison])
        (letter,) = await letters(engine)
        assert (letter["value"], letter["headers"], letter["attempts"]) == (None, None, 2 + again)


async def test_purging_needs_a_role_that_may_delete(engine: AsyncEngine, operator_url: str) -> None:
    await park(engine, videos(5))
    await redrive(engine).run(Selection())
    await park(engine, [record(video("created", 9), 9)])
    await make_older(engine, 10)
    async with engine.connect() as connection:
        assert await count_expired(connection, GROUP, DAY) == 5
    with pytest.raises(ProgrammingError, match="permission denied"):
        await purge(engine, GROUP, DAY)
    migrate_url = roles_of(operator_url, database=str(make_url(operator_url).database)).migrate_url
    owner = create_engine(migrate_url, search_path=TEST_SCHEMA)
    assert await purge(owner, GROUP, DAY, at_once=2) == 5
    await owner.dispose()
    assert await counted(engine) == {("parked", 1): 1}
