"""The law, against PostgreSQL: any order, duplication and cuts, any number of concurrent writers; the same rows."""

import asyncio
import json
import random
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.models.engine import create_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import record, shuffled, video
from tests.support.edge_logs import edge_log, edge_rows
from tests.support.random_logs import random_log
from tests.support.row_changes import topics
from tests.support.writing import a_database, assert_a_replay_writes_nothing, cuts, deliver_all, snapshot, write_all

ORDERS = 4
WRITERS = 4


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
    assert snapshots[0]["video_states"]
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
    await assert_a_replay_writes_nothing(postgres, random_log(7))


async def test_a_time_far_from_utc_is_merged_whatever_the_cut(postgres: EmbeddedPostgres) -> None:
    """PostgreSQL takes no offset of 16 hours: in a batch of its own the event was refused, in a larger one it won."""
    far = json.loads(video("updated", 1, 2)) | {"time": "2026-01-06T02:01:00+16:00"}
    log = [
        record(value, offset)
        for offset, value in enumerate(
            (video("created", 1, 1), json.dumps(far).encode(), video("progressed", 1, 3, progress=7))
        )
    ]
    ends = []
    for size in (1, len(log)):
        with a_database(postgres, f"law_far_{size}") as url:
            engine = create_engine(url)
            parts = [log[start : start + size] for start in range(0, len(log), size)]
            rejections = await deliver_all(engine, parts, Partition("video-events", 0))
            ends.append((await snapshot(engine), [rejection.detail for rejection in rejections]))
            await engine.dispose()
    assert ends[0] == ends[1]
    (row,) = ends[0][0]["videos"].values()
    assert (row["title"], ends[0][1]) == ("Video 1, again", [])


@pytest.mark.parametrize("log", [edge_log(), edge_rows()], ids=["events", "rows"])
async def test_values_at_every_bound_get_one_verdict_whatever_the_cut(
    postgres: EmbeddedPostgres, log: list[Any]
) -> None:
    ends = []
    for size in (1, len(log)):
        with a_database(postgres, f"law_edges_{size}") as url:
            engine = create_engine(url)
            parts = [log[start : start + size] for start in range(0, len(log), size)]
            rejections = await deliver_all(engine, parts, Partition("any", 0), DEFAULT_TOPICS | topics())
            letters = sorted((one.record.offset, one.stage, one.reason, json.dumps(one.detail)) for one in rejections)
            ends.append((await snapshot(engine), letters))
            await engine.dispose()
    assert ends[0][1] == ends[1][1]
    assert ends[0][0] == ends[1][0]
    assert {stage for _, stage, _, _ in ends[0][1]} == {"decode", "validate"}
    assert len(log) / 10 < len(ends[0][1]) < len(log) / 3
