"""A person who is erased stays erased, and leaves the same rows, whatever order, cuts, and writers a log comes with."""

import asyncio
import os
import random
from typing import Any

import pytest

from reelsync.consumer.operations.erase import erase
from reelsync.consumer.operations.verify.reference import STATES
from reelsync.consumer.records import Partition
from reelsync.models.engine import create_engine
from reelsync.testing.expected_tables import Tables, differences, expected_tables
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, record, shuffled, user, video
from tests.support.erasing import erased, traces
from tests.support.random_logs import random_log
from tests.support.writing import a_database, assert_a_replay_writes_nothing, cuts, snapshot, write_all

PEOPLE = (1, 4)
WRITERS = 4
SEEDS = int(os.environ.get("ERASURE_SEEDS", "4"))
"""`ERASURE_SEEDS=100` runs it at length."""
ORDERS = 3
USERS = 6
POISON = (b'"user1@example.com", ', b'"username": "-"', b'"progress": 900', b"not json")


def a_log(seed: int) -> list[Any]:
    """All kinds of events, two people erased, one of them twice, and poison that names them."""
    log = random_log(seed, users=USERS)
    poison = [
        record(
            b'{"user_id": "%s", "email": "user1@example.com", ' % an_id(1001).upper().encode(), key=an_id(3).encode()
        ),
        record(user("updated", 4, 90, username="-"), topic="user-events", key=an_id(1004).encode()),
        record(video("progressed", 5, 91, 1, progress=900), key=an_id(5).encode()),
        record(b"not json", key=an_id(2).encode()),
    ]
    erasures = [erased(1), erased(4), erased(1)]
    rng = random.Random(seed)
    for one in poison + erasures:
        log.insert(rng.randrange(len(log)), one)
    return log


def words() -> list[str]:
    ids = [an_id(1000 + number) for number in PEOPLE]
    return [*ids, *(one.replace("-", "") for one in ids), "user_1_", "user_4_", "user1@", "user4@"]


def oracle(log: list[Any]) -> Tables:
    """What an independent calculation makes of the log without its poison."""
    valid = [one for one in log if one.value is None or not any(word in one.value for word in POISON)]
    for one in valid:
        one.timestamp_ms = one.timestamp
    assert len(valid) == len(log) - len(POISON)
    return expected_tables(valid, STATES)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_any_order_and_cut_leaves_the_same_rows_and_nothing_of_them(
    postgres: EmbeddedPostgres, seed: int
) -> None:
    log = a_log(seed)
    ends = []
    for order in range(ORDERS + 1):
        rng = random.Random(seed * 100 + order)
        records = log if order == 0 else shuffled(log + rng.choices(log, k=len(log) // 4), rng.randrange(1 << 30))
        if by_operator := order == ORDERS:
            records = [one for one in records if one.value is None or b"user.erased" not in one.value]
        for offset, one in enumerate(records):
            one.offset = offset
        with a_database(postgres, f"erased_{seed}_{order}") as url:
            engine = create_engine(url)
            parts = cuts(records, rng)
            middle = rng.randrange(len(parts) + 1) if by_operator else len(parts)
            await write_all(engine, parts[:middle], Partition("video-events", 0))
            for number in PEOPLE if by_operator else ():
                await erase(engine, an_id(1000 + number), None)
            await write_all(engine, parts[middle:], Partition("video-events", 0))
            ends.append(await snapshot(engine))
            left = await traces(engine, words())
            await engine.dispose()
        assert left == [], f"order {order}"
    assert all(end == ends[0] for end in ends[1:])
    assert ends[0][STATES]
    assert differences(oracle(log), ends[0]) == []
    assert an_id(1001) not in ends[0]["users"]
    assert an_id(1004) not in ends[0]["user_profiles"]


@pytest.mark.parametrize("seed", range(20, 20 + SEEDS // 2))
async def test_writers_at_once_leave_the_same_rows(postgres: EmbeddedPostgres, seed: int) -> None:
    log = a_log(seed) * 2
    with a_database(postgres, f"erased_{seed}_alone") as url:
        engine = create_engine(url)
        await write_all(engine, [log], Partition("video-events", 0))
        alone = await snapshot(engine)
        await engine.dispose()
    rng = random.Random(seed)
    log = shuffled(log, seed)
    with a_database(postgres, f"erased_{seed}_crowd") as url:
        engine = create_engine(url)
        shares = [log[writer::WRITERS] for writer in range(WRITERS)]
        await asyncio.gather(
            *(
                write_all(engine, cuts(share, rng), Partition("video-events", number))
                for number, share in enumerate(shares)
            )
        )
        crowd, left = await snapshot(engine), await traces(engine, words())
        await engine.dispose()
    assert (crowd, left) == (alone, [])


async def test_a_replay_after_an_erasure_writes_nothing(postgres: EmbeddedPostgres) -> None:
    log = [one for one in a_log(3) if one.value is None or b"not json" not in one.value]
    await assert_a_replay_writes_nothing(postgres, log)
