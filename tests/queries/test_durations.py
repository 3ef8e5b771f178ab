"""How long videos waited and were rendered, among states that were merged from events in any order."""

import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import VideoStatus, queries
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.queries.story import DAY
from tests.support.builders import START, shuffled, video

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 6)
COMPLETED, FAILED = VideoStatus.COMPLETED, VideoStatus.FAILED


def life(number: int, *states: tuple[str, datetime, int], **data: Any) -> list[bytes]:
    """Events of a video: kind, and seconds from a time on."""
    found = []
    for version, (kind, time, seconds) in enumerate(states, 1):
        fields = {"error_code": data["error_code"]} if kind == "failed" else {}
        document = json.loads(video(kind, number, version, **fields))
        found.append(json.dumps(document | {"time": (time + timedelta(seconds=seconds)).isoformat()}).encode())
    return found


TOMORROW = START + DAY
EVENTS = [
    *life(
        1,
        ("created", START, 0),
        ("processing", START, 10),
        ("failed", START, 40),
        ("processing", START, 100),
        ("completed", START, 160),
        error_code="out_of_memory",
    ),
    # It says twice that it is being rendered, and is rendered again on the next day.
    *life(
        2,
        ("created", START, 0),
        ("processing", START, 30),
        ("progressed", START, 40),
        ("processing", START, 50),
        ("completed", START, 130),
        ("processing", TOMORROW, 0),
        ("failed", TOMORROW, 10),
        ("processing", TOMORROW, 20),
        ("completed", TOMORROW, 50),
        error_code="no_voice",
    ),
    # Of this one nothing is known but its end, and of this one no end.
    *life(3, ("completed", TOMORROW, 0)),
    *life(4, ("created", TOMORROW, 0), ("deleted", TOMORROW, 1)),
]


@pytest.fixture
async def session(reader: Reader) -> AsyncIterator[AsyncSession]:
    await merge(reader.engine, *shuffled(EVENTS, 1))
    async with reader.session() as session:
        yield session


async def rows_of(session: AsyncSession, query: Select[Any]) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await session.execute(query)]


async def test_time_queued(session: AsyncSession) -> None:
    assert await rows_of(session, queries.time_queued()) == [(FIRST, 2, 20.0, 29.0)]
    assert await rows_of(session, queries.time_queued(since=START + timedelta(seconds=20))) == [(FIRST, 1, 30.0, 30.0)]
    assert await rows_of(session, queries.time_queued(since=TOMORROW)) == []


async def test_time_rendered(session: AsyncSession) -> None:
    second = [(SECOND, COMPLETED, 1, 30.0, 30.0), (SECOND, FAILED, 1, 10.0, 10.0)]
    assert await rows_of(session, queries.time_rendered()) == [
        (FIRST, COMPLETED, 2, 80.0, 98.0),
        (FIRST, FAILED, 1, 30.0, 30.0),
        *second,
    ]
    assert await rows_of(session, queries.time_rendered(since=TOMORROW + timedelta(seconds=5))) == second


async def test_attempts_of_a_render(session: AsyncSession) -> None:
    second = (SECOND, 1, 2, 2, 2)
    assert await rows_of(session, queries.render_attempts()) == [(FIRST, 2, 3, 1, 2), second]
    assert await rows_of(session, queries.render_attempts(since=TOMORROW + timedelta(seconds=30))) == [second]
    assert await rows_of(session, queries.render_attempts(until=START)) == []


async def test_failures_by_code(session: AsyncSession) -> None:
    first, second = (FIRST, "out_of_memory", 1, 1), (SECOND, "no_voice", 1, 1)
    assert await rows_of(session, queries.failures_by_code()) == [first, second]
    assert await rows_of(session, queries.failures_by_code(until=TOMORROW)) == [first]
