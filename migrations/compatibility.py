"""Which code may use the schema: said by the database itself, because old code does not know new revisions.

Each revision states as `compatible_from` the oldest revision whose code works with the schema that it leaves; its own,
if it states none. With every migration that is written to the comment of Alembic's table, in the same transaction.
"""

import json
from dataclasses import dataclass
from typing import Any

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.schema import SetTableComment

_VERSION_TABLE = "alembic_version"
_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
# One statement, so one snapshot: a migration that ends meanwhile is seen whole or not at all.
_SELECT = text(f"""
    SELECT v.version_num, d.description
      FROM {_VERSION_TABLE} v
      LEFT JOIN pg_catalog.pg_description d
        ON (d.objoid, d.classoid, d.objsubid) = (CAST(:name AS regclass), CAST('pg_class' AS regclass), 0)
""")  # noqa: S608 - a constant
_NAMED = {"query_name": "schema.read"}


@dataclass(frozen=True)
class Stated:
    """What a database says of its schema. `compatible_from`: None: it does not say, or of another revision."""

    revision: str | None
    compatible_from: str | None = None


def read_stated(connection: Connection) -> Stated:
    """What the database says; both None before the first migration."""
    if not connection.scalar(_EXISTS, {"name": _VERSION_TABLE}, execution_options=_NAMED):
        return Stated(None)
    row = connection.execute(_SELECT, {"name": _VERSION_TABLE}, execution_options=_NAMED).one_or_none()
    return Stated(None) if row is None else Stated(row.version_num, _compatible_from(row.version_num, row.description))


def state_on_apply(script: ScriptDirectory, context: MigrationContext, heads: set[str]) -> None:
    """Write down which code may use the schema, in the transaction that changed it."""
    stated = None
    for head in heads:
        module = script.get_revision(head).module
        stated = json.dumps({"revision": head, "compatible_from": getattr(module, "compatible_from", head)})
    connection = context.connection
    if connection is not None:
        connection.execute(SetTableComment(Table(_VERSION_TABLE, MetaData(), comment=stated)))


def _compatible_from(revision: str, comment: str | None) -> str | None:
    try:
        said: Any = json.loads(comment or "")
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("revision") != revision:
        return None
    oldest = said.get("compatible_from")
    return oldest if isinstance(oldest, str) else None
