"""Which rows of the shadow and of the tables in use differ: a table of the shadow that notes them, and SQL for keys."""

from collections.abc import Sequence

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .shadow_tables import SCHEMA

_NOTED = ("id", "version")
"""Where the columns of a key are noted: all tables have one, but for the states of videos."""


async def note_differences(connection: AsyncConnection, live: str, tables: Sequence[Table]) -> int:
    """Write into the shadow which rows differ, without a lock. Rows that change meanwhile may be among them."""
    noted = 0
    for table in tables:
        key = key_of(table)
        statement = f"""
            INSERT INTO {SCHEMA}.differing (name, {", ".join(_NOTED[: len(key)])})
            SELECT '{table.name}', {", ".join(f"COALESCE(l.{name}, s.{name})" for name in key)}
              FROM {live}.{table.name} l FULL JOIN {SCHEMA}.{table.name} s ON {same_key(table, "s", "l")}
             WHERE l.{key[0]} IS NULL OR s.{key[0]} IS NULL
                OR {row_of("l", table)} IS DISTINCT FROM {row_of("s", table)}
                ON CONFLICT DO NOTHING
        """
        done = await connection.execute(text(statement), execution_options={"query_name": "rebuild.replace"})
        noted += done.rowcount
    return noted


def key_of(table: Table) -> tuple[str, ...]:
    """The columns of the primary key."""
    return tuple(column.name for column in table.primary_key)


def columns_of(table: Table) -> list[str]:
    """The columns that can be written."""
    return [column.name for column in table.columns if column.computed is None]


def row_of(alias: str, table: Table) -> str:
    """A row as one value."""
    return "ROW(" + ", ".join(f"{alias}.{name}" for name in columns_of(table)) + ")"


def id_of(table: Table, alias: str) -> str:
    """The key of a row as text."""
    return f"concat_ws('/', {', '.join(f'{alias}.{name}' for name in key_of(table))})"


def same_key(table: Table, one: str, other: str) -> str:
    """The condition that two rows have the same key."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in key_of(table))


def is_noted(table: Table, alias: str) -> str:
    """The condition that a row is the one that is noted in `differing d`."""
    columns = zip(_NOTED, key_of(table), strict=False)
    return " AND ".join([f"d.name = '{table.name}'", *(f"d.{noted} = {alias}.{name}" for noted, name in columns)])
