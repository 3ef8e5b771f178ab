"""The law, against PostgreSQL: any order, duplication and cuts, any number of concurrent writers; the same rows."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import DBAPIError

from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.records import Partition
from reelsync.models.engine import create_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import shuffled
from tests.support.random_logs import random_log
from tests.support.writing import cuts, snapshot, write_all

ORDERS = 4
WRITERS = 4


@contextmanager
def a_database(postgres: EmbeddedPostgres, name: str) -> Iterator[str]:
    postgres.create_database(name, "migrated")
    try:
        yield postgres.url(name)
    finally:
        postgres.drop_database(name)


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_duplication_and_cut_gives_the_same_rows(postgres: EmbeddedPostgres, seed: int) -> None:
    log = random_log(seed)
    snapshots = []
    for order in range(ORDERS):
        rng = random.Random(seed * 100 + order)
        records = log if order == 0 else shuffled(log + rng.choices(log, k=len(log) // 3), rng.randrange(1 << 30))
        with a_database(postgres, f"law_{seed}_{order}") as url:
            engine = create_engine(url)
            await write_all(engine, cuts(records, rng), Partition("video-events", 0))
            snapshots.append(await snapshot(engine))
            await engine.dispose()
    assert all(other == snapshots[0] for other in snapshots[1:])


@pytest.mark.parametrize("seed", range(100, 106))
async def test_concurrent_writers_give_the_same_rows_without_deadlock(postgres: EmbeddedPostgres, seed: int) -> None:
    log = random_log(seed, events=400)
    with a_database(postgres, f"law_{seed}_alone") as url:
        engine = create_engine(url)
        await write_all(engine, [log], Partition("video-events", 0))
        alone = await snapshot(engine)
        await engine.dispose()
    rng = random.Random(seed)
    doubled = shuffled(log + log, seed)
    with a_database(postgres, f"law_{seed}_crowd") as url:
        engine = create_engine(url)
        shares = [doubled[writer::WRITERS] for writer in range(WRITERS)]
        outcomes = await asyncio.gather(
            *(
                write_all(engine, cuts(share, rng), Partition("video-events", number))
                for number, share in enumerate(shares)
            ),
            return_exceptions=True,
        )
        crowd = await snapshot(engine)
        await engine.dispose()
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert not [f for f in failures if not (isinstance(f, DBAPIError) and classify(f) is Verdict.AGAIN)], failures
    assert not failures
    assert crowd == alone


async def test_a_replay_writes_nothing(postgres: EmbeddedPostgres) -> None:
    log = random_log(7)
    with a_database(postgres, "law_replay") as url:
        engine = create_engine(url)
        await write_all(engine, [log], Partition("video-events", 0))
        replayed = await write_all(engine, cuts(shuffled(log, 3), random.Random(3)), Partition("video-events", 1))
        await engine.dispose()
    assert sum(sum(written.changed.values()) for written in replayed) == 0
    assert sum(sum(written.sent.values()) for written in replayed) > 0
