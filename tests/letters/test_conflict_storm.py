"""Thousands of users who claim one name: a storm of conflicts takes few statements, and parks what it always did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, user
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

CONFLICTS = 5_000


def claims(count: int) -> list[tuple[bytes, bytes]]:
    """Users of whom all want one name, and half one address."""
    return [
        (
            b"one partition",
            user("created", n, username="the_same", email="same@example.com" if n % 2 else f"{n}@example.com"),
        )
        for n in range(1, count + 1)
    ]


@contextmanager
def counting(engine: AsyncEngine) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    yield statements
    event.remove(engine.sync_engine, "before_cursor_execute", count)


@pytest.mark.parametrize("others", [0, 15_000], ids=["alone", "among others"])
async def test_a_storm_takes_few_statements_and_parks_each_but_the_first(settings: Settings, others: int) -> None:
    topic = topic_of(settings, "user")
    innocent = [(b"one partition", user("created", n)) for n in range(CONFLICTS + 1, CONFLICTS + 1 + others)]
    records = claims(CONFLICTS)
    every = max(1, others // CONFLICTS)
    mixed = [r for n, claim in enumerate(records) for r in (claim, *innocent[n * every : (n + 1) * every])]
    await publish(settings, topic, mixed)
    async with consuming(settings) as consumer:
        with counting(consumer.engine) as statements:
            await until_applied(settings)

            async def is_redriven() -> bool:
                return {row["attempts"] for row in await rows_of(settings, "dead_letters")} != {1}

            await eventually(is_redriven, "the letters were tried again")
    letters = await rows_of(settings, "dead_letters")
    assert len(letters) == CONFLICTS - 1
    assert {letter["reason"] for letter in letters} == {"conflict"}
    assert {letter["detail"]["constraint"] for letter in letters} == {"uq_users_username"}
    named = [row["id"] for row in await rows_of(settings, "users") if row["username"] == "the_same"]
    assert [str(found) for found in named] == [an_id(1_001)]
    assert len(await rows_of(settings, "users")) == others + 1
    assert len(statements) < 200
