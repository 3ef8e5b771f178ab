"""Comparing the shadow with the tables in use, and replacing rows: SQL, compiled from the models.

Rows are replaced, not tables. So views, foreign keys, publications, prepared statements and rights stay as they are,
and only what differs is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.events import ERASED_VERSION
from reelsync.models import ConsumerOffset, User, UserProfile, Video
from reelsync.models.facets import FORMER_OWNERS, Merge, version_column
from reelsync.models.upsert import table_of

from .differences import columns_of, id_of, is_noted, key_of, row_of, same_key
from .shadow_tables import SCHEMA, TABLES

_SAMPLE = 50
_MERGES: dict[str, Merge] = {table_of(model).name: model.__merge__ for model in (User, UserProfile, Video)}
_WAITS_FOR_A_NAME = (
    f"EXISTS (SELECT FROM {SCHEMA}.dead_letters d WHERE d.aggregate_id = s.id"
    " AND d.reason = 'conflict' AND d.state = 'parked')"
)
"""Users whose name depends on the order in which conflicts were met: they keep the name that they have now."""


Sampled = tuple[str, str, tuple[str, ...]]
"""What was done to a row, its id (of a state, with its version), and the columns that changed."""


class Replaced(NamedTuple):
    """What was done to one table. `columns` counts the rows changed, by column."""

    table: str
    rows: int
    """Rows of the shadow."""
    added: int
    changed: int
    removed: int
    kept: int
    """Rows that are not in the log, or newer than it, and that were left as they are."""
    columns: dict[str, int]
    sample: list[Sampled]
    """What was done, id and columns, of at most fifty rows."""


async def replace_rows(
    connection: AsyncConnection, live: str, tables: Sequence[Table], *, exactly: bool
) -> list[Replaced]:
    """Replace the differing rows by those of the shadow, inside the caller's transaction, which has locked the tables.

    Without `exactly` nothing is lost: rows that only the tables in use have, and facets with a higher version, stay.
    """
    await _run(connection, "SET CONSTRAINTS ALL DEFERRED")
    replaced = [await _replace(connection, live, table, exactly=exactly) for table in tables]
    for number, table in reversed(list(enumerate(tables))):
        part, rows, noted = replaced[number], f"{live}.{table.name} l", f"{SCHEMA}.differing d"
        only_live = f"""
            {is_noted(table, "l")}
            AND NOT EXISTS (SELECT FROM {SCHEMA}.{table.name} s WHERE {same_key(table, "s", "l")})
        """
        if exactly:
            removed = await _run(connection, f"DELETE FROM {rows} USING {noted} WHERE {only_live}")
            replaced[number] = part._replace(removed=removed)
        else:
            kept = await _scalar(connection, f"SELECT count(*) FROM {rows}, {noted} WHERE {only_live}")
            replaced[number] = part._replace(kept=part.kept + kept)
    await _delete_states(connection, live)
    await _run(connection, "SET CONSTRAINTS ALL IMMEDIATE")
    return replaced


async def _delete_states(connection: AsyncConnection, live: str) -> None:
    """Delete the states of videos that are erased now, or were removed."""
    await _run(
        connection,
        f"""
        DELETE FROM {live}.video_states l USING {SCHEMA}.differing d
         WHERE d.name = 'videos' AND d.id = l.video_id
           AND NOT EXISTS (SELECT FROM {live}.videos v WHERE v.id = l.video_id AND v.version < {ERASED_VERSION})
        """,
    )


async def hold(connection: AsyncConnection, live: str, group: str) -> dict[tuple[str, int], int]:
    """Lock the positions and the tables against writers until the transaction ends; returns the positions.

    Positions are locked first, as a batch does it: a batch that has begun can finish, so there is no deadlock. Readers
    are not blocked.
    """
    offsets = f"{live}.{table_of(ConsumerOffset).name}"
    found = await connection.execute(
        text(
            f"SELECT topic, partition, next_offset FROM {offsets} WHERE consumer_group = :consumer_group"
            " ORDER BY topic, partition FOR NO KEY UPDATE"
        ),
        {"consumer_group": group},
        execution_options={"query_name": "rebuild.hold"},
    )
    positions = {(topic, partition): next_offset for topic, partition, next_offset in found}
    names = ", ".join(f"{live}.{table.name}" for table in TABLES)
    await _run(connection, f"LOCK TABLE {names} IN EXCLUSIVE MODE")
    return positions


async def _replace(connection: AsyncConnection, live: str, table: Table, *, exactly: bool) -> Replaced:
    rebuilt = _rebuilt(table, exactly=exactly)
    joined = f"""
          {SCHEMA}.{table.name} s
          JOIN {SCHEMA}.differing d ON {is_noted(table, "s")}
          JOIN {live}.{table.name} l ON {same_key(table, "l", "s")}
    """
    changed_columns, sampled = await _changes(connection, table, rebuilt, joined)
    kept = await _scalar(connection, f"SELECT count(*) FROM {joined} WHERE {_newer(table)}") if not exactly else 0
    changed = await _update(connection, live, table, rebuilt)
    added, ids = await _insert(connection, live, table)
    sampled += [("added", row_id, ()) for row_id in ids[: _SAMPLE - len(sampled)]]
    rows = int(await _scalar(connection, f"SELECT count(*) FROM {SCHEMA}.{table.name}"))
    return Replaced(table.name, rows, added, changed, 0, int(kept), changed_columns, sampled)


async def _changes(
    connection: AsyncConnection, table: Table, rebuilt: Mapping[str, str], joined: str
) -> tuple[dict[str, int], list[Sampled]]:
    """How many rows will change, by column, and some of them with their columns."""
    differing = ", ".join(
        f"CASE WHEN {new} IS DISTINCT FROM l.{name} THEN '{name}' END" for name, new in rebuilt.items()
    )
    changes = f"SELECT {id_of(table, 's')} AS id, array_remove(ARRAY[{differing}], NULL) AS columns FROM {joined}"
    by_column = await connection.execute(
        text(f"SELECT name, count(*) FROM ({changes}) c, unnest(c.columns) name GROUP BY name ORDER BY 2 DESC, 1"),
        execution_options={"query_name": "rebuild.compare"},
    )
    changed_columns = {str(name): int(count) for name, count in by_column}
    sample = await connection.execute(
        text(f"SELECT id, columns FROM ({changes}) c WHERE c.columns <> '{{}}' ORDER BY id LIMIT {_SAMPLE}"),
        execution_options={"query_name": "rebuild.compare"},
    )
    return changed_columns, [("changed", str(row_id), tuple(names)) for row_id, names in sample]


async def _update(connection: AsyncConnection, live: str, table: Table, rebuilt: Mapping[str, str]) -> int:
    """Change the rows that differ; how many."""
    all_rebuilt = "ROW(" + ", ".join(rebuilt.values()) + ")"
    values = ", ".join(f"{name} = {new}" for name, new in rebuilt.items() if name not in key_of(table))
    return await _run(
        connection,
        f"""
        UPDATE {live}.{table.name} l SET {values}
          FROM {SCHEMA}.{table.name} s
          JOIN {SCHEMA}.differing d ON {is_noted(table, "s")}
         WHERE {same_key(table, "l", "s")} AND {all_rebuilt} IS DISTINCT FROM {row_of("l", table)}
        """,
    )


async def _insert(connection: AsyncConnection, live: str, table: Table) -> tuple[int, list[str]]:
    """Add the rows that only the shadow has; how many, and the ids of some.

    In the order in which they were replayed, which is roughly that of their times, as BRIN indexes need it.
    """
    columns = columns_of(table)
    listed = ", ".join(columns)
    found = await connection.execute(
        text(
            f"""
            WITH added AS (
                INSERT INTO {live}.{table.name} ({listed})
                SELECT {", ".join(f"s.{name}" for name in columns)}
                  FROM {SCHEMA}.{table.name} s JOIN {SCHEMA}.differing d ON {is_noted(table, "s")}
                 WHERE NOT EXISTS (SELECT FROM {live}.{table.name} l WHERE {same_key(table, "l", "s")})
                 ORDER BY s.ctid RETURNING {id_of(table, table.name)} AS id)
            SELECT id, count(*) OVER () FROM added LIMIT {_SAMPLE}
            """
        ),
        execution_options={"query_name": "rebuild.replace"},
    )
    added = found.all()
    return (added[0][1] if added else 0), [row_id for row_id, _ in added]


def _rebuilt(table: Table, *, exactly: bool) -> dict[str, str]:
    """For each column, what it becomes: the shadow's, unless the row in use is newer there."""
    columns = columns_of(table)
    merge = _MERGES.get(table.name)
    if merge is None:
        return {name: f"s.{name}" for name in columns}
    version = merge.version
    rebuilt: dict[str, str] = {merge.key: f"s.{merge.key}"}
    for facet, facet_columns in merge.facets.items():
        of_facet = version_column(facet)
        wins = "true" if exactly else f"s.{of_facet} >= l.{of_facet}"
        if facet == "account":
            wins = f"({wins}) AND NOT (s.{of_facet} = l.{of_facet} AND {_WAITS_FOR_A_NAME})"
        rebuilt |= {name: f"CASE WHEN {wins} THEN s.{name} ELSE l.{name} END" for name in (*facet_columns, of_facet)}
    wins = "true" if exactly else f"s.{version} >= l.{version} AND s.{version} > 0"
    for name in (*merge.with_version, version, "updated_at"):
        rebuilt.setdefault(name, f"CASE WHEN {wins} THEN s.{name} ELSE l.{name} END")
    rebuilt["created_at"] = (
        "s.created_at"
        if exactly
        else f"CASE WHEN s.{version} = 0 THEN l.created_at WHEN l.{version} = 0 THEN s.created_at"
        " ELSE LEAST(l.created_at, s.created_at) END"
    )
    if merge.owner:
        owner = rebuilt[merge.owner]
        named = f"""
            s.{FORMER_OWNERS} || CASE WHEN s.{version} > 0 THEN s.{merge.owner} END
            || l.{FORMER_OWNERS} || CASE WHEN l.{version} > 0 THEN l.{merge.owner} END
        """
        others = f"(SELECT array_agg(DISTINCT id ORDER BY id) FROM unnest({named}) AS o(id) WHERE id <> {owner})"
        rebuilt[FORMER_OWNERS] = f"s.{FORMER_OWNERS}" if exactly else others
    return {name: rebuilt[name] for name in columns}


def _newer(table: Table) -> str:
    """The condition that the row in use is newer than the shadow's: a higher version, or an earlier first event."""
    merge = _MERGES.get(table.name)
    if merge is None:
        return "false"
    versions = {merge.version, *map(version_column, merge.facets)}
    newer = " OR ".join(f"l.{name} > s.{name}" for name in sorted(versions))
    return f"({newer} OR (s.{merge.version} > 0 AND l.{merge.version} > 0 AND l.created_at < s.created_at))"


async def _run(connection: AsyncConnection, statement: str) -> int:
    done = await connection.execute(text(statement), execution_options={"query_name": "rebuild.replace"})
    return done.rowcount


async def _scalar(connection: AsyncConnection, statement: str) -> int:
    return int(await connection.scalar(text(statement), execution_options={"query_name": "rebuild.compare"}) or 0)


def total(replaced: Iterable[Replaced]) -> int:
    """How many rows were wrong."""
    return sum(part.added + part.changed + part.removed for part in replaced)
