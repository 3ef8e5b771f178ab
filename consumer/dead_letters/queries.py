"""Queries of dead letters: counts, the latest ones, one with its content, and all in the order of their keys."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Label, RowMapping, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .selection import Selection
from .table import KEY_COLUMNS, READ_COLUMNS, TABLE, Letter, letter_of

_LISTED = (
    "topic",
    "partition",
    "offset",
    "stage",
    "reason",
    "event_type",
    "aggregate_id",
    "attempts",
    "state",
    "detail",
)
_PATH: Label[str | None] = literal_column("nullif(detail #>> '{problems,0,path}', '')").label("path")
_BYTES = 8 * 1_048_576
_FETCHED = 20
LISTED_AT_ONCE = 1_000


async def count(connection: AsyncConnection, group: str, selection: Selection) -> int:
    """How many letters are selected."""
    query = select(func.count()).select_from(TABLE).where(*selection.conditions(group))
    return int(await connection.scalar(query, execution_options={"query_name": "dead_letters.count"}) or 0)


async def counts(connection: AsyncConnection, group: str, selection: Selection) -> list[dict[str, Any]]:
    """How many letters are selected, and since when, by reason, path of the first problem, type and topic."""
    grouped = [TABLE.c.reason, _PATH, TABLE.c.event_type, TABLE.c.topic]
    letters = func.count().label("letters")
    query = (
        select(*grouped, letters, func.min(TABLE.c.first_seen_at).label("oldest"))
        .where(*selection.conditions(group))
        .group_by(*grouped)
        .order_by(letters.desc(), *grouped)
    )
    rows = await connection.execute(query, execution_options={"query_name": "dead_letters.count"})
    return [dict(row) for row in rows.mappings()]


async def latest(
    connection: AsyncConnection, group: str, selection: Selection, limit: int
) -> AsyncIterator[list[dict[str, Any]]]:
    """The letters that were attempted last, the latest first, without their content.

    They are read through a cursor, a thousand at a time, in one transaction that stays open until all were read. Pages
    would not do: many letters have the same time, that of their batch.
    """
    corrected = TABLE.c.corrected_headers.is_not(None).label("corrected")
    query = (
        select(*(TABLE.c[name] for name in (*_LISTED, "redrives", "first_seen_at", "last_attempt_at")), corrected)
        .where(*selection.conditions(group))
        .order_by(TABLE.c.last_attempt_at.desc(), *KEY_COLUMNS)
        .limit(limit)
    )
    options = {"query_name": "dead_letters.list", "yield_per": LISTED_AT_ONCE}
    async with connection.stream(query, execution_options=options) as rows:
        async for page in rows.mappings().partitions():
            yield [dict(row) for row in page]


async def whole(connection: AsyncConnection, group: str, selection: Selection) -> list[RowMapping]:
    """All columns of the selected letters, which should be few."""
    query = select(TABLE).where(*selection.conditions(group)).order_by(*KEY_COLUMNS)
    rows = await connection.execute(query, execution_options={"query_name": "dead_letters.show"})
    return list(rows.mappings())


async def next_letters(connection: AsyncConnection, group: str, selection: Selection, limit: int) -> list[Letter]:
    """The first of the selected letters by key: at most `limit`, and about 8 MiB, but at least one."""
    query = select(*READ_COLUMNS).where(*selection.conditions(group)).order_by(*KEY_COLUMNS).limit(limit)
    options = {"query_name": "dead_letters.next", "yield_per": _FETCHED}
    letters: list[Letter] = []
    size = 0
    async with connection.stream(query, execution_options=options) as rows:
        async for row in rows.mappings():
            letters.append(letter_of(row))
            size += _size(letters[-1])
            if size >= _BYTES:
                break
    return letters


async def all_letters(
    connection: AsyncConnection, group: str, selection: Selection, limit: int = 1_000
) -> AsyncIterator[list[Letter]]:
    """All selected letters by key, a page at a time, each read in a transaction of its own."""
    while letters := await next_letters(connection, group, selection, limit):
        await connection.rollback()
        yield letters
        selection = replace(selection, after=letters[-1].key)
    await connection.rollback()


def _size(letter: Letter) -> int:
    row = letter.row
    contents = [row[name] for name in ("key", "value", "corrected_key", "corrected_value")]
    headers = [part for name in ("headers", "corrected_headers") for pair in row[name] or () for part in pair]
    return sum(len(content or b"") for content in (*contents, *headers))
