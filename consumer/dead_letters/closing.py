"""Taking letters off the list for a reason, and putting them back. Both are written into the letter's audit."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncEngine

from .selection import Selection
from .table import KEY_COLUMNS, TABLE, Entry, LetterKey, audited, take_turn

LETTERS_AT_ONCE = 5_000


async def discard(
    engine: AsyncEngine, group: str, selection: Selection, entry: Entry, tell: Callable[[int], None] = lambda _: None
) -> int:
    """Discard the selected parked letters, thousands in each transaction; how many. One met again stays discarded.

    Nothing is deleted: see `restore`. `tell` is told after each transaction how many it were so far.
    """
    return await _move(engine, group, selection.with_state("parked"), "discarded", entry, tell)


async def restore(
    engine: AsyncEngine, group: str, selection: Selection, entry: Entry, tell: Callable[[int], None] = lambda _: None
) -> int:
    """Park the selected discarded letters again; how many. Blank ones stay: there is nothing left to be done with."""
    return await _move(engine, group, selection.with_state("discarded"), "parked", entry, tell)


async def _move(  # noqa: PLR0913, PLR0917 - what both do
    engine: AsyncEngine, group: str, selection: Selection, state: str, entry: Entry, tell: Callable[[int], None]
) -> int:
    moved = 0
    while True:
        async with engine.begin() as connection:
            await take_turn(connection, group)
            query = select(*KEY_COLUMNS).where(*selection.conditions(group))
            if state == "parked":
                query = query.where(TABLE.c.headers.is_not(None))
            query = query.order_by(*KEY_COLUMNS).limit(LETTERS_AT_ONCE).with_for_update(key_share=True)
            options = {"query_name": "dead_letters.next"}
            keys = [LetterKey(*row) for row in await connection.execute(query, execution_options=options)]
            if not keys:
                return moved
            values = {"state": state, "closed_at": None if state == "parked" else func.now(), "redrives": 0}
            change = update(TABLE).where(TABLE.c.consumer_group == group, tuple_(*KEY_COLUMNS).in_(keys))
            options = {"query_name": "dead_letters.close"}
            await connection.execute(change.values(**values, audit=audited(state, entry)), execution_options=options)
        moved += len(keys)
        tell(moved)
        selection = replace(selection, after=keys[-1])
