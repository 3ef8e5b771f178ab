"""Names, the one rule that order can break: conflicts are parked, redriven together, and end in one final table."""

import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from reelsync.models.engine import create_engine
from tests.support.builders import an_id, record, shuffled, user
from tests.support.writing import GROUP, batch_of, cuts, snapshot

PARTITION = Partition("user-events", 0)
KINDS = ("created", "updated", "deleted", "restored", "logged_in", "erased")
DECODE = decoder(DEFAULT_TOPICS, 524_288)


def renames(seed: int, users: int = 5, rounds: int = 4) -> list[Any]:
    """Users who swap, rotate and hand on their names again and again; at the end no two have one."""
    rng = random.Random(seed)
    names = {number: f"name_{number}" for number in range(users)}
    versions = dict.fromkeys(names, 1)
    log = [user("created", n, 1, username=name, email=f"{name}@example.com") for n, name in names.items()]
    for _ in range(rounds):
        some = rng.sample(sorted(names), k=rng.randint(2, users))
        for number, name in zip(some, [names[n] for n in some[1:] + some[:1]], strict=True):
            names[number] = name
            versions[number] += 1
            log.append(user("updated", number, versions[number], username=name, email=f"{name}@example.com"))
    return [record(value, offset, topic="user-events") for offset, value in enumerate(log)]


async def deliver(engine: AsyncEngine, log: list[Any], rng: random.Random) -> int:
    """Write the log, carefully where names clash, redriving now and then; the letters parked on the way."""
    writer, ledger = BatchWriter(engine, GROUP), Ledger(engine, GROUP)
    await ledger.positions(None, {PARTITION: 0})
    start = parked = 0
    for part in cuts(log, rng):
        batch: Batch = batch_of(part, PARTITION, start)
        written = await writer.write(batch, carefully=True)
        assert {rejection.reason for rejection in written.rejections} <= {"conflict"}
        parked += len(written.rejections)
        start += len(part)
        if rng.random() < 0.3:
            await redrive_conflicts(engine, GROUP, writer, DECODE, rng.choice((1, 200)))
    # One at a time, and yet together where they depend on each other.
    while (await redrive_conflicts(engine, GROUP, writer, DECODE, at_once=1)).applied:
        pass
    return parked


def claims(seed: int, users: int = 6) -> list[Any]:
    """Whatever can be said of few users and few names, in any order: accounts, deletions, other facets, erasures."""
    rng = random.Random(seed)
    log: list[Any] = []
    for offset in range(60):
        number, version = rng.randint(1, users), rng.randint(1, 12)
        name, address = rng.choice("abcd"), rng.choice("abcd")
        account = {"username": f"name_{name}", "email": f"{address}@example.com"}
        (kind,) = rng.choices(KINDS, (4, 8, 2, 2, 1, 0.2))
        value = None if kind == "erased" else user(kind, number, version, **account if "ated" in kind else {})
        key = an_id(1_000 + number).encode()
        log.append(record(value, offset, topic="user-events", key=key))
    return log


@pytest.mark.parametrize("seed", range(40))
async def test_conflicts_are_told_as_the_database_tells_them(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Rows and rejections are those of a search that tries each event on the database.

    Where both names are taken, which of them it names is its own affair.
    """
    found: list[Any] = []
    for way in ("told", "tried"):
        name = f"claims_{seed}_{way}"
        postgres.create_database(name, "migrated")
        engine = create_engine(postgres.url(name))
        if way == "tried":
            monkeypatch.setattr("reelsync.consumer.sink.writer.without_conflicts", none_is_told)
        try:
            writer, ledger, start = BatchWriter(engine, GROUP), Ledger(engine, GROUP), 0
            await ledger.positions(None, {PARTITION: 0})
            rejections = []
            for part in cuts(claims(seed), random.Random(seed)):
                written = await writer.write(batch_of(part, PARTITION, start), carefully=True)
                rejections += [(r.record.offset, r.reason, r.event_id, r.aggregate_id) for r in written.rejections]
                start += len(part)
            found.append((await snapshot(engine), sorted(rejections)))
        finally:
            await engine.dispose()
            postgres.drop_database(name)
    assert found[0] == found[1]


async def none_is_told(_connection: Any, events: Any) -> tuple[Any, list[Any]]:
    return events, []


async def states(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.scalars(text("SELECT state FROM dead_letters")))


@pytest.mark.parametrize("seed", range(15))
async def test_swaps_and_rotations_of_names_end_in_one_table(postgres: Any, seed: int) -> None:
    log = renames(seed)
    snapshots, parked = [], 0
    for order in range(4):
        name = f"names_{seed}_{order}"
        postgres.create_database(name, "migrated")
        engine = create_engine(postgres.url(name))
        try:
            parked += await deliver(
                engine, log if not order else shuffled(log, seed * 10 + order), random.Random(order)
            )
            snapshots.append(await snapshot(engine))
            assert await states(engine) <= {"redriven"}
        finally:
            await engine.dispose()
            postgres.drop_database(name)
    assert parked, "no order made a conflict: this proves nothing"
    assert all(other == snapshots[0] for other in snapshots[1:])
    assert all(row["username"] for row in snapshots[0]["users"].values())


async def test_the_letter_of_an_erased_user_is_closed_and_one_that_cannot_be_read_stays(postgres: Any) -> None:
    postgres.create_database("names_erased", "migrated")
    engine = create_engine(postgres.url("names_erased"))
    writer = BatchWriter(engine, GROUP)
    await Ledger(engine, GROUP).positions(None, {PARTITION: 0})
    log = [
        record(
            user("created", number, 1, username="bob", email=f"{number}@x"),
            number,
            topic="user-events",
            key=an_id(1000 + number).encode(),
        )
        for number in range(3)
    ]
    await writer.write(batch_of(log, PARTITION, 0), carefully=True)
    erased = record(None, 3, topic="user-events", key=an_id(1001).encode())
    await writer.write(batch_of([erased], PARTITION, 3))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET value = 'unreadable' WHERE value IS NOT NULL"))
    await redrive_conflicts(engine, GROUP, writer, DECODE)
    async with engine.connect() as connection:
        rows = await connection.execute(text('SELECT "offset", state, attempts FROM dead_letters ORDER BY 1'))
        assert [tuple(row) for row in rows] == [(1, "redriven", 2), (2, "parked", 2)]
    await engine.dispose()
    postgres.drop_database("names_erased")
