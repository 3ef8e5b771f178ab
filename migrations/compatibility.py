"""Which code may use the schema. The database itself says so, because old code does not know new revisions.

Each revision states as `compatible_from` the oldest revision whose code works with the schema that it leaves; its own,
if it states none. With every migration that is written to the comment of Alembic's table, in the same transaction.
"""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, text

from reelsync.models.engine import Password

from .connection import connected, use_schema
from .revisions import head_revision, known_revisions

VERSION_TABLE = "alembic_version"
_OUR_TABLE = "consumer_offsets"
_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
# One statement, so one snapshot: a migration that ends meanwhile is seen whole or not at all.
_SELECT = text(f"""
    SELECT v.version_num, d.description, to_regclass('{_OUR_TABLE}') IS NOT NULL AS ours
      FROM {VERSION_TABLE} v
      LEFT JOIN pg_catalog.pg_description d
        ON (d.objoid, d.classoid, d.objsubid) = (CAST(:name AS regclass), CAST('pg_class' AS regclass), 0)
""")  # noqa: S608 - a constant
_NAMED = {"query_name": "schema.read"}


@dataclass(frozen=True)
class SchemaState:
    """The database's revision, and whether this version of reelsync may use it."""

    revision: str | None
    """None before the first migration."""
    usable: bool
    newer: bool
    """A later version of reelsync migrated it: a revision that this one does not know."""
    foreign: str | None = None
    """Why Alembic's table is another program's; None if it is ours, or not there."""


@dataclass(frozen=True)
class Stated:
    """What a database says of its schema. `compatible_from`: None: it does not say, or of another revision."""

    revision: str | None
    compatible_from: str | None = None
    rows: int = 1
    """Of Alembic's table; ours has one."""
    ours: bool = True
    """Whether the schema has a table of reelsync's."""


def read_stated(connection: Connection, schema: str | None = None) -> Stated:
    """What the database says of our tables in this schema; both None before the first migration."""
    use_schema(connection, schema, only_this_transaction=True)
    if not connection.scalar(_EXISTS, {"name": VERSION_TABLE}, execution_options=_NAMED):
        return Stated(None)
    rows = connection.execute(_SELECT, {"name": VERSION_TABLE}, execution_options=_NAMED).all()
    if not rows:
        return Stated(None)
    revision, comment, ours = rows[0]
    return Stated(revision, _compatible_from(revision, comment), len(rows), ours)


async def current_revision(url: str) -> str | None:
    """The revision that the database is at; None before the first."""
    return (await connected(url, read_stated)).revision


async def schema_state(url: str, password: Password | None = None, schema: str | None = None) -> SchemaState:
    """What the database says of its schema, judged with what this version knows."""
    stated = await connected(url, partial(read_stated, schema=schema), password)
    return judge(stated, head_revision(), known_revisions())


def judge(stated: Stated, head: str, known: frozenset[str]) -> SchemaState:
    """Usable are our own head, and a newer schema that states one of our revisions as the oldest that it works with.

    `known` are the revisions of this version, all of them at or before `head`.
    """
    if stated.rows > 1:
        why = f"{VERSION_TABLE} has {stated.rows} rows, and reelsync's has one"
        return SchemaState(stated.revision, usable=False, newer=False, foreign=why)
    if stated.revision is None or stated.revision in known:
        return SchemaState(stated.revision, usable=stated.revision == head, newer=False)
    if not stated.ours:
        why = f"{VERSION_TABLE} is at revision {stated.revision}, and has no table of reelsync"
        return SchemaState(stated.revision, usable=False, newer=False, foreign=why)
    return SchemaState(stated.revision, usable=stated.compatible_from in known, newer=True)


def _compatible_from(revision: str, comment: str | None) -> str | None:
    try:
        said: Any = json.loads(comment or "")
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("revision") != revision:
        return None
    oldest = said.get("compatible_from")
    return oldest if isinstance(oldest, str) else None
