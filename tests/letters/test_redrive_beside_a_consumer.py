"""Thousands of letters redriven while the consumer runs, killed in between and run again; judged by the oracle.

LETTERS=100000 makes it as long as one likes.
"""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.settings import Settings
from reelsync.testing.expected_tables import differences, expected_tables
from tests.letters.parking import counted, park, redrive, videos
from tests.support.builders import an_id, record, video
from tests.support.processes import process
from tests.support.roles import TEST_SCHEMA
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.writing import GROUP, snapshot

CRASHER = str(Path(__file__).with_name("crashing_redrive.py"))
STEPS = ("videos.merge", "dead_letters.close", "before_commit", "after_commit")
LETTERS = int(os.environ.get("LETTERS", "4000"))


def with_limit(settings: Settings, max_value_bytes: int) -> Settings:
    """The same, with another limit on values; and no limit on dead letters, for they are wanted."""
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"max_value_bytes": max_value_bytes}),
            "dead_letters": settings.dead_letters.model_copy(update={"max_count": 10**9}),
        }
    )


def log_of(letters: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Events that are too large at first, poison, and events that come while the first are redriven.

    Of each video five events are parked; of the later ones some are newer, and some older than what was parked.
    """
    many = range(letters // 5)
    kinds = ("created", "processing", "progressed", "updated", "completed")
    early = [video(kind, n, 2 * v, owner=n % 50) for n in many for v, kind in enumerate(kinds, start=1)]
    poison = [video("progressed", n, 3, progress=101) for n in range(max(10, letters // 200))]
    late = [video("updated", n, 3 if n % 2 else 99, owner=n % 50, title=f"late {n}") for n in many]
    return early, poison, late


async def test_letters_redriven_beside_a_consumer_and_killed_in_between(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    early, poison, late = log_of(LETTERS)
    strict, roomy = with_limit(settings, 10), with_limit(settings, 524_288)
    await publish(settings, topic, [(_key(value), value) for value in early + poison])
    async with consuming(strict):
        await until_applied(strict)
    parked = await rows_of(settings, "dead_letters")
    assert {(row["reason"], row["attempts"]) for row in parked} == {("too_large", 1)}
    assert len(parked) == len(early) + len(poison)
    async with consuming(roomy):
        publishing = asyncio.create_task(publish(settings, topic, [(_key(value), value) for value in late]))
        half = max(2, LETTERS // 2000)
        with process(roomy, CRASHER, "after_commit", str(half)) as killed:
            assert await asyncio.to_thread(killed.wait, 300) == -signal.SIGKILL
        states = Counter(str(row["state"]) for row in await rows_of(settings, "dead_letters"))
        assert states["redriven"], "nothing was committed before the kill"
        assert states["parked"] > len(poison), "nothing was left to do after the kill"
        with process(roomy, "-m", "reelsync.consumer", "dlq", "redrive", "--all") as again:
            assert await asyncio.to_thread(again.wait, 600) == 1, "the poison is parked still"
        await publishing
        await until_applied(roomy)
    found = Counter((str(row["state"]), row["attempts"]) for row in await rows_of(settings, "dead_letters"))
    assert found.pop(("redriven", 2)) == len(early)
    # Poison was attempted by the run that went through, and by the one that was killed as far as it came.
    assert found.keys() <= {("parked", 2), ("parked", 3)}
    assert found.total() == len(poison)
    log = [
        SimpleNamespace(topic="video-events", key=None, value=value, headers=(), timestamp_ms=0)
        for value in early + late
    ]
    assert differences(expected_tables(log), await tables(settings)) == []


def _key(value: bytes) -> bytes:
    return value[value.index(b'"video_id": "') + 13 :][:36]


async def tables(settings: Settings) -> dict[str, dict[str, dict[str, Any]]]:
    keys = {"users": "id", "user_profiles": "user_id", "videos": "id", "model_usage": "id"}
    return {table: {str(row[key]): row for row in await rows_of(settings, table)} for table, key in keys.items()}


@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_loses_and_doubles_nothing(engine: AsyncEngine, database: str, step: str) -> None:
    settings = Settings.model_validate(
        {"kafka": {"group_id": GROUP}, "database": {"url": database, "schema": TEST_SCHEMA}}
    )
    valid, poison = videos(30), [record(b"no json", 100, key=an_id(1).encode())]
    await park(engine, valid + poison)
    with process(settings, CRASHER, step, "1") as killed:
        assert await asyncio.to_thread(killed.wait, 90) == -signal.SIGKILL

    async def is_over() -> bool:
        # The server notices a while later that nobody is there.
        state = await counted(engine)
        return sum(state.values()) == 31

    await eventually(is_over, "the table can be read")
    done = step == "after_commit"
    assert await counted(engine) == ({("redriven", 2): 30, ("parked", 2): 1} if done else {("parked", 1): 31})
    # Rows and letters are one transaction: neither is there without the other.
    assert len((await snapshot(engine))["videos"]) == (30 if done else 0)
    tally = await redrive(engine).run(Selection())
    assert (tally.applied, tally.still.total()) == ((0, 1) if done else (30, 1))
    assert await counted(engine) == {("redriven", 2): 30, ("parked", 3 if done else 2): 1}
    log = [SimpleNamespace(**vars(one), timestamp_ms=0) for one in valid]
    assert differences(expected_tables(log), await snapshot(engine)) == []
