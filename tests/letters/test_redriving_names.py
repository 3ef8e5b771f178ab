"""Name conflicts redriven beside others: nothing that operators do is lost, and few users are locked at a time."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.dead_letters.closing import discard
from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.records import Partition
from reelsync.consumer.sink.writer import BatchWriter
from tests.letters.parking import DECODE, letters, park
from tests.letters.slow_rows import impatient, slow_row
from tests.letters.test_correcting import edited, exported, imported
from tests.support.builders import an_id, record, user
from tests.support.writing import GROUP, snapshot, write_all

_LOCKABLE = text("SELECT count(*) FROM (SELECT FROM users FOR NO KEY UPDATE SKIP LOCKED) AS free")
_PLACEHOLDERS = """
    INSERT INTO users (id, version, created_at, updated_at) SELECT aggregate_id, 0, now(), now() FROM dead_letters
"""


class Interrupted(BatchWriter):
    """Does something else before it merges an event."""

    def __init__(self, engine: AsyncEngine, interrupt: Any) -> None:
        super().__init__(engine, GROUP)
        self._interrupt = interrupt

    async def merge(self, connection: Any, events: Any) -> None:
        await self._interrupt()
        await super().merge(connection, events)


async def parked_conflicts(engine: AsyncEngine, count: int) -> None:
    """Letters of so many users, each with a name of its own by now."""
    await park(
        engine,
        [
            record(user("created", n, username=f"name_{n}", email=f"{n}@x"), n, key=an_id(1000 + n).encode())
            for n in range(count)
        ],
    )
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET reason = 'conflict', stage = 'write'"))


async def park_rotation(engine: AsyncEngine, count: int) -> None:
    """So many users with names, and letters by which each gets the name of the next."""
    before = [record(user("created", n, username=f"name_{n}", email=f"{n}@x"), n) for n in range(count)]
    await write_all(engine, [before], Partition("user-events", 1))
    changes = [user("updated", n, 2, username=f"name_{(n + 1) % count}", email=f"{n}@x") for n in range(count)]
    await park(engine, [record(change, n, key=an_id(1000 + n).encode()) for n, change in enumerate(changes)])
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dead_letters SET reason = 'conflict', stage = 'write'"))


async def names(engine: AsyncEngine) -> set[Any]:
    return {row.get("username") for row in (await snapshot(engine))["users"].values()}


async def redriven(engine: AsyncEngine, interrupt: Any = None) -> tuple[int, int]:
    writer = Interrupted(engine, interrupt) if interrupt else BatchWriter(engine, GROUP)
    return await redrive_conflicts(engine, GROUP, writer, DECODE)


async def test_a_correction_that_is_stored_meanwhile_is_what_is_applied(engine: AsyncEngine) -> None:
    await parked_conflicts(engine, 2)
    lines = [edited(line, lambda event: event["data"].update(username="mended")) for line in await exported(engine)][:1]

    async def correct() -> None:
        await imported(engine, lines)

    assert await redriven(engine, correct) == (0, 2)
    assert await names(engine) == set()
    assert await redriven(engine) == (2, 0)
    assert await names(engine) == {"mended", "name_1"}


async def test_a_letter_that_is_discarded_meanwhile_is_not_applied(engine: AsyncEngine) -> None:
    await parked_conflicts(engine, 1)

    async def discard_all() -> None:
        await discard(engine, GROUP, Selection(), Entry("again"))

    assert await redriven(engine, discard_all) == (0, 1)
    assert (await names(engine), [row["state"] for row in await letters(engine)]) == (set(), ["discarded"])


async def test_a_letter_that_somebody_holds_is_not_waited_for(engine: AsyncEngine) -> None:
    """The users' rows are locked meanwhile, and with them what the consumer says of them."""
    await parked_conflicts(engine, 1)
    async with engine.begin() as other:
        await other.execute(text("SET LOCAL lock_timeout = 0"))
        await other.execute(text("SELECT FROM dead_letters FOR NO KEY UPDATE"))
        assert await redriven(engine) == (0, 1)
    assert await redriven(engine) == (1, 0)


async def test_letters_that_do_not_depend_on_each_other_lock_few_users_at_a_time(engine: AsyncEngine) -> None:
    await parked_conflicts(engine, 1_000)
    async with engine.begin() as connection:
        await connection.execute(text(_PLACEHOLDERS))
    locked = set[int]()

    async def look() -> None:
        async with engine.connect() as other:
            locked.add(1_000 - (await other.scalar(_LOCKABLE) or 0))

    assert await redriven(engine, look) == (1_000, 0)
    assert locked
    assert locked <= set(range(1, 201)), "a consumer's batch would wait for more"


async def test_a_rotation_goes_together_however_few_letters_a_transaction_takes(engine: AsyncEngine) -> None:
    """Apart, the first would find its name taken."""
    await park_rotation(engine, 3)
    assert await redrive_conflicts(engine, GROUP, BatchWriter(engine, GROUP), DECODE, at_once=1) == (3, 0)
    assert await names(engine) == {"name_0", "name_1", "name_2"}


@pytest.mark.parametrize("again", [False, True], ids=["applied", "still parked"])
async def test_redriving_them_does_not_count_towards_the_limit(engine: AsyncEngine, again: bool) -> None:
    await parked_conflicts(engine, 1)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE dead_letters SET redrives = 3" + (", value = 'no json'" if again else ""))
        )
    assert await redriven(engine) == ((0, 1) if again else (1, 0))
    (letter,) = await letters(engine)
    assert (letter["redrives"], letter["attempts"], letter["reason"]) == (3 if again else 0, 2, "conflict")


async def test_a_user_whose_statements_always_time_out_keeps_only_its_own_letter_parked(
    engine: AsyncEngine, database: str, operator: AsyncConnection
) -> None:
    await parked_conflicts(engine, 250)
    async with impatient(database) as hasty:
        await slow_row(operator, "users", an_id(1123))
        assert await redriven(hasty) == (249, 1)
    (parked,) = [letter for letter in await letters(engine) if letter["state"] == "parked"]
    assert parked["aggregate_id"] == UUID(an_id(1123))


async def test_a_user_that_somebody_holds_keeps_only_its_own_letter_parked(engine: AsyncEngine, database: str) -> None:
    await parked_conflicts(engine, 20)
    async with engine.begin() as connection:
        await connection.execute(text(_PLACEHOLDERS))
    async with impatient(database) as hasty:
        async with engine.begin() as holder:
            await holder.execute(text(f"SELECT FROM users WHERE id = '{an_id(1007)}' FOR UPDATE"))
            assert await redriven(hasty) == (19, 1)
        assert await redriven(hasty) == (1, 0)


async def test_a_group_of_names_that_a_trigger_refuses_keeps_only_its_own_letter_parked(
    engine: AsyncEngine, operator: AsyncConnection
) -> None:
    """It would be the first each time, and the others would never come."""
    await parked_conflicts(engine, 20)
    await operator.execute(
        text("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not here''; END'")
    )
    await operator.execute(
        text(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW "
            f"WHEN (NEW.id = '{an_id(1001)}') EXECUTE FUNCTION refuse()"
        )
    )
    assert await redriven(engine) == (19, 1)
