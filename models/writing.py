"""Rows that a service writes itself, beside those that the consumer merges from events.

In a merged table (users, user_profiles, videos) every column belongs to a facet, and a facet to the writer with its
highest version. So a service that writes there takes the next version of the aggregate, like any publisher, and writes
by the same merge: later events and rows then merge correctly. docs/reading.md says which columns belong to which facet.
All of these functions run in the caller's transaction. Objects that the session has already do not change with the
rows.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import CursorResult, Executable, any_, delete, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from .base import Base
from .facets import Merge, version_column
from .mixins import SoftDeleteMixin
from .query_names import named_by_connection
from .upsert import ROWS, UPSERTS, table_of

CHUNK = 1_000
Columns = Mapping[str, Any]
"""A row: values by column name; in a merged table, `version` too."""

_Item = TypeVar("_Item")


async def bulk_insert(session: AsyncSession, model: type[Base], rows: Sequence[Columns], *, chunk: int = CHUNK) -> int:
    """Insert rows, `chunk` at a time; how many were written.

    Into a merged table they go as `version` 1 of their aggregates, unless a row says otherwise, and set the facets of
    which they have a column. One statement a chunk. What is there already is merged, not refused: a placeholder is
    filled, a newer facet stays, a row sent again moves its `updated_at` alone. Into any other table it is an INSERT.

    Raises:
        ValueError: a row names a column that the table does not have, or that the merge keeps.
        sqlalchemy.exc.DBAPIError: the database refuses a row; nothing of the transaction remains.
    """
    merge = _merge_of(model)
    if merge is None:
        for plain in _chunks(rows, chunk):
            name = _named(model, "insert")
            await session.execute(insert(model), [dict(row) for row in plain], execution_options=name)
        return len(rows)
    now = datetime.now(UTC)
    rendered = [_render(model, merge, {"version": 1} | dict(row), now) for row in rows]
    return sum([await _merge_rows(session, model, part) for part in _chunks(_sorted(rendered, merge), chunk)])


async def bulk_update(session: AsyncSession, model: type[Base], rows: Sequence[Columns], *, chunk: int = CHUNK) -> int:
    """Update rows by their keys, `chunk` at a time; how many changed. A key that is not there is left out.

    A row of a merged table states its `version`, the next of the aggregate's sequence, and sets facets whole: one that
    is newer already stays. Two statements a chunk: `SELECT … FOR NO KEY UPDATE` in the order of the keys, in which the
    consumer locks too, and the merge. In any other table it is an UPDATE by primary key.

    Raises:
        ValueError: a row lacks its version or some columns of a facet, or names columns that it cannot set.
        sqlalchemy.exc.DBAPIError: the database refuses a row; nothing of the transaction remains.
    """
    merge = _merge_of(model)
    if merge is None:
        async with named_by_connection(session, f"{table_of(model).name}.update"):
            for plain in _chunks(rows, chunk):
                await session.execute(update(model), [dict(row) for row in plain])
        return len(rows)
    now = datetime.now(UTC)
    rendered = [_render(model, merge, row, now, whole=True) for row in rows]
    changed = 0
    for part in _chunks(_sorted(rendered, merge), chunk):
        known = await _lock(session, model, merge, [row[merge.key] for row in part])
        existing = [known[row[merge.key]] | row for row in part if row[merge.key] in known]
        changed += await _merge_rows(session, model, existing)
    return changed


async def bulk_soft_delete(
    session: AsyncSession,
    model: type[Base],
    versions: Mapping[UUID, int],
    *,
    at: datetime | None = None,
    chunk: int = CHUNK,
) -> int:
    """Mark rows as deleted at `at`, now by default. They give key and next version. Returns how many changed.

    Raises:
        TypeError: the rows of this table have no `deleted_at`.
    """
    if not issubclass(model, SoftDeleteMixin) or _merge_of(model) is None:
        raise TypeError(f"{model.__name__} has no soft deletion by version: use bulk_delete")
    when = at or datetime.now(UTC)
    rows = [{"id": key, "version": version, "deleted_at": when} for key, version in versions.items()]
    return await bulk_update(session, model, rows, chunk=chunk)


async def bulk_delete(session: AsyncSession, model: type[Base], keys: Collection[UUID], *, chunk: int = CHUNK) -> int:
    """Remove rows for good by their keys, `chunk` at a time; how many there were.

    One statement a chunk, `DELETE … WHERE id = ANY (:keys)`. A fact removed here comes back when its event is replayed.

    Raises:
        TypeError: the table is merged from events, where rows are never removed: the consumer remembers which are
            there, and what refers to one would stop it.
    """
    if _merge_of(model) is not None:
        raise TypeError(f"rows of {model.__name__} are never removed: use bulk_soft_delete, or publish a tombstone")
    (key,) = table_of(model).primary_key
    removed = 0
    for part in _chunks(sorted(keys), chunk):
        statement = delete(table_of(model)).where(key == any_(literal(part, ARRAY(key.type))))
        removed += await _count(session, statement, _named(model, "delete"))
    return removed


def _merge_of(model: type[Base]) -> Merge | None:
    return cast("Merge | None", getattr(model, "__merge__", None))


def _render(model: type[Base], merge: Merge, row: Columns, now: datetime, *, whole: bool = False) -> dict[str, Any]:
    """The row as the merge takes it, with the versions of the facets that it sets.

    Raises:
        TypeError: the key is no UUID.
        ValueError: see `bulk_update`.
    """
    given = dict(row)
    version = given.pop("version", None)
    if not isinstance(version, int) or version < 1:
        raise ValueError(
            f"{model.__name__}: a row needs its `version`, the next of its aggregate's sequence, from 1 on"
        )
    facets = {facet: columns for facet, columns in merge.facets.items() if given.keys() & set(columns)}
    settable = {merge.key, *merge.with_version, "created_at", "updated_at", *sum(merge.facets.values(), ())}
    if unknown := sorted(given.keys() - settable):
        raise ValueError(
            f"{model.__name__}: {', '.join(unknown)} cannot be set; these can: {', '.join(sorted(settable))}"
        )
    for facet, columns in facets.items():
        if whole and (missing := sorted(set(columns) - given.keys())):
            raise ValueError(f"{model.__name__}: facet {facet} is set whole, and {', '.join(missing)} is missing")
    if not isinstance(given.get(merge.key), UUID):
        raise TypeError(f"{model.__name__}: a row needs its `{merge.key}`, a UUID")
    versions = dict.fromkeys((merge.version, *map(version_column, facets)), version)
    return {"created_at": now, "updated_at": now} | given | versions


def _sorted(rows: list[dict[str, Any]], merge: Merge) -> list[dict[str, Any]]:
    """The rows in the order of their keys, in which the consumer locks them too.

    Raises:
        ValueError: a key is there twice: one statement cannot merge both.
    """
    if twice := [str(key) for key, times in Counter(row[merge.key] for row in rows).items() if times > 1]:
        raise ValueError(f"more than one row for {', '.join(twice[:3])}: keep the one with the highest version")
    return sorted(rows, key=lambda row: row[merge.key].bytes)


async def _lock(session: AsyncSession, model: type[Base], merge: Merge, keys: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """The rows that exist, locked: by key, the columns that go with the version."""
    table = table_of(model)
    key = table.c[merge.key]
    statement = (
        select(key, *(table.c[name] for name in merge.with_version))
        .where(key == any_(literal(keys, ARRAY(key.type))))
        .order_by(key)
        .with_for_update(key_share=True)
    )
    found = await session.execute(statement, execution_options=_named(model, "lock"))
    return {row[merge.key]: dict(row) for row in found.mappings()}


async def _merge_rows(session: AsyncSession, model: type[Base], rows: list[dict[str, Any]]) -> int:
    encoded = json.dumps(rows, default=_as_text, allow_nan=False)
    return await _count(session, UPSERTS[model], _named(model, "merge"), {ROWS: encoded})


async def _count(
    session: AsyncSession, statement: Executable, name: Mapping[str, str], parameters: Columns | None = None
) -> int:
    return cast("CursorResult[Any]", await session.execute(statement, parameters, execution_options=name)).rowcount


def _named(model: type[Base], action: str) -> dict[str, str]:
    return {"query_name": f"{table_of(model).name}.{action}"}


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored in these tables")


def _chunks(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
