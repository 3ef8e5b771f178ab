"""Discarding letters for a reason, and restoring them. Both are written into the letter's audit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from .selection import Selection
from .table import KEY_COLUMNS, KEY_NAMES, TABLE, Entry, LetterKey, audited, take_turn

LETTERS_AT_ONCE = 5_000


async def discard(
    engine: AsyncEngine, group: str, selection: Selection, entry: Entry, tell: Callable[[int], None] = lambda _: None
) -> int:
    """Discard the selected parked letters, thousands in each transaction; returns how many.

    A record that is read again stays discarded. Nothing is deleted: see `restore`. `tell` is called after each
    transaction with the number so far.
    """
    return await _move(engine, group, selection.with_state("parked"), "discarded", entry, tell)


async def restore(
    engine: AsyncEngine, group: str, selection: Selection, entry: Entry, tell: Callable[[int], None] = lambda _: None
) -> int:
    """Park the selected discarded letters again; returns how many.

    Blank letters stay as they are, because they have no record to apply.
    """
    return await _move(engine, group, selection.with_state("discarded"), "parked", entry, tell)


async def _move(  # noqa: PLR0913, PLR0917 - what both do
    engine: AsyncEngine, group: str, selection: Selection, state: str, entry: Entry, tell: Callable[[int], None]
) -> int:
    moved = 0
    while True:
        async with engine.begin() as connection:
            await take_turn(connection, group)
            statement = _statement(group, selection, state, entry)
            page = await connection.execute(statement, execution_options={"query_name": "dead_letters.close"})
            last = page.one_or_none()
        if last is None:
            return moved
        *key, count = last
        moved += count
        tell(moved)
        selection = replace(selection, after=LetterKey(*key))


def _statement(group: str, selection: Selection, state: str, entry: Entry) -> Select[Any]:
    """Changes the first letters by key, locked in that order; returns the key of the last one, and how many.

    The keys are not sent to the client and back: to plan and to read thousands of them takes longer than to change the
    rows.
    """
    query = select(*KEY_COLUMNS).where(*selection.conditions(group))
    if state == "parked":
        query = query.where(TABLE.c.headers.is_not(None))
    page = query.order_by(*KEY_COLUMNS).limit(LETTERS_AT_ONCE).with_for_update(key_share=True).cte("page")
    same = [TABLE.c[name] == page.c[name] for name in KEY_NAMES]
    values = {"state": state, "closed_at": None if state == "parked" else func.now(), "redrives": 0}
    change = update(TABLE).where(TABLE.c.consumer_group == group, *same).values(**values, audit=audited(state, entry))
    moved = change.returning(*KEY_COLUMNS).cte("moved")
    keys = [moved.c[name] for name in KEY_NAMES]
    return select(*keys, func.count().over()).order_by(*(key.desc() for key in keys)).limit(1)
