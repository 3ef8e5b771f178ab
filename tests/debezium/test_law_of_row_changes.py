"""The law, for row changes: any order, duplication and cut of what Debezium wrote gives the upstream tables' end."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.operations.verify.reference import STATES, Oracle
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.events.debezium import RowChangeTopic
from reelsync.models.engine import create_engine
from reelsync.testing.expected_tables import differences
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.debezium.upstream_tables import UpstreamTables
from tests.support.builders import an_id, record, shuffled, user, video
from tests.support.decoding import decode
from tests.support.random_logs import USER_KINDS, VIDEO_KINDS
from tests.support.row_changes import captured_records, topics
from tests.support.writing import cuts, snapshot, write_all

ORDERS, WRITERS = 3, 4
PARTITION = Partition("any", 0)


@asynccontextmanager
async def an_engine(postgres: EmbeddedPostgres, name: str) -> AsyncIterator[AsyncEngine]:
    postgres.create_database(name, "migrated")
    engine = create_engine(postgres.url(name))
    try:
        yield engine
    finally:
        await engine.dispose()
        postgres.drop_database(name)


def disordered(records: list[Any], seed: int, order: int) -> list[Any]:
    rng = random.Random(seed * 100 + order)
    return records if order == 0 else shuffled(records + rng.choices(records, k=len(records) // 3), rng.randrange(99))


@pytest.mark.parametrize("deletes", ["soft_delete", "erase"])
@pytest.mark.parametrize("version", ["source.lsn", "revision"])
@pytest.mark.parametrize("seed", range(3))
async def test_the_rows_are_those_of_the_upstream_tables(
    postgres: EmbeddedPostgres, seed: int, version: str, deletes: str
) -> None:
    upstream = UpstreamTables(seed, version=version, deletes=deletes)
    upstream.happen(120)
    read = topics(version, deletes)
    for order in range(ORDERS):
        async with an_engine(postgres, f"rows_{seed}_{version[-3:]}_{deletes}_{order}") as engine:
            parts = cuts(disordered(upstream.records, seed, order), random.Random(order))
            written = await write_all(engine, parts, PARTITION, read)
            assert not [rejection.detail for part in written for rejection in part.rejections]
            assert differences(upstream.expected(), await snapshot(engine)) == []


def mixed_log(seed: int) -> list[Any]:
    """Row changes with a column `revision`, native events with versions of the same sequence, and tombstones."""
    upstream = UpstreamTables(seed, version="revision", deletes="erase")
    rng, log = random.Random(seed), upstream.records
    for number in range(60):
        upstream.happen(2)
        of = rng.randrange(9)
        if rng.random() < 0.6:
            log.append(record(video(rng.choice(VIDEO_KINDS), of, upstream.next_revision(an_id(of)), owner=of % 7)))
        else:
            of %= 5
            version, kind = upstream.next_revision(an_id(1000 + of)), rng.choice(USER_KINDS)
            named = {"username": f"n{of}_{version}", "email": f"n{of}_{version}@example.com"}
            named = named if kind in {"created", "updated"} else {}
            log.append(record(user(kind, of, version, **named), topic="user-events"))
        if number % 20 == 19:
            log.append(record(None, key=an_id(of).encode(), timestamp=1_767_607_200_000 + number))
    return log


@pytest.mark.parametrize("seed", range(3))
async def test_beside_native_events_any_order_gives_the_same_rows(postgres: EmbeddedPostgres, seed: int) -> None:
    log, read = mixed_log(seed), DEFAULT_TOPICS | topics("revision", "erase")
    ends = []
    for order in range(ORDERS):
        async with an_engine(postgres, f"mixed_{seed}_{order}") as engine:
            parts = cuts(disordered(log, seed, order), random.Random(order))
            written = await write_all(engine, parts, PARTITION, read)
            assert not [rejection.detail for part in written for rejection in part.rejections]
            ends.append(await snapshot(engine))
    oracle = Oracle()
    for found in log:
        event = decode(found, read, 524_288)
        assert not isinstance(event, Rejection)
        oracle.add(event["type"], event["time"], event["data"])
    for end in ends:
        assert differences(oracle.tables(STATES), end) == []
    assert {row["title"] for row in ends[0]["videos"].values()} >= {None}, "some are erased"


async def test_concurrent_writers_give_the_same_rows(postgres: EmbeddedPostgres) -> None:
    log, read = mixed_log(7), DEFAULT_TOPICS | topics("revision", "erase")
    async with an_engine(postgres, "mixed_alone") as engine:
        await write_all(engine, [log], PARTITION, read)
        alone = await snapshot(engine)
    async with an_engine(postgres, "mixed_crowd") as engine:
        doubled, rng = shuffled(log + log, 7), random.Random(7)
        await asyncio.gather(
            *(
                write_all(engine, cuts(doubled[number::WRITERS], rng), Partition("any", number), read)
                for number in range(WRITERS)
            )
        )
        assert await snapshot(engine) == alone


@pytest.mark.parametrize("version", ["source.lsn", "row_version"])
@pytest.mark.parametrize("order", range(2))
async def test_what_debezium_published_ends_as_the_database_did(
    postgres: EmbeddedPostgres, version: str, order: int
) -> None:
    names = {"studio.public.users": "user", "studio.public.videos": "video"}
    read = {name: RowChangeTopic.model_validate({"aggregate": of, "version": version}) for name, of in names.items()}
    records = disordered([found for found in captured_records() if found.topic in read], 1, order)
    async with an_engine(postgres, f"captured_{version[-3:]}_{order}") as engine:
        await write_all(engine, cuts(records, random.Random(order)), PARTITION, read)
        end = await snapshot(engine)
    users = {row["username"]: row["is_deleted"] for row in end["users"].values()}
    assert users == {"ada": True, "bob": True, "eve": False}
    videos = {row_id[-2:]: (row["title"], row["is_deleted"], row["progress"]) for row_id, row in end["videos"].items()}
    assert videos == {"a1": ("Snapshotted", True, 0), "a2": ("Tour", True, 100), "a3": ("Snapshotted", False, 0)}
