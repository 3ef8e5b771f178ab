"""The rows that must be in the table after a log, calculated by an independent fold, and what differs from them."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.servers import Servers
from benchmarks.workloads import LogRecord, owner_ids
from reelsync.consumer.operations.verify.changes import Row
from reelsync.migrations.runner import upgrade
from reelsync.models import Video
from reelsync.testing.expected_tables import expected_tables

STORED_COLUMNS = tuple(column.name for column in Video.__table__.columns if column.computed is None)
READ_COLUMNS = tuple(name for name in STORED_COLUMNS if not name.endswith("_version") and name != "former_owners")
"""What readers see: without the versions of single facets and the owners before, which only reelsync keeps."""
_EXPECTED = "bench_expected_videos"

_OWNERS = text(
    "INSERT INTO users (id, username, email, account_version, version, created_at, updated_at) "
    "SELECT id::uuid, 'owner_' || number, 'owner_' || number || '@example.com', 1, 1, '2026-01-01Z', '2026-01-01Z' "
    "FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS r(id, number)"
)
_OTHER_VIDEOS = text(
    "INSERT INTO videos (id, user_id, title, status, progress, details_version, state_version, version, "
    "created_at, updated_at) "
    "SELECT gen_random_uuid(), CAST((CAST(:ids AS text[]))[1 + number % cardinality(CAST(:ids AS text[]))] AS uuid), "
    "'Video ' || number, 'completed', 100, 1, 6, 6, "
    "at, at FROM generate_series(1, CAST(:rows AS bigint)) AS number, "
    "LATERAL (SELECT timestamptz '2025-01-01Z' + number * interval '1 second') AS r(at)"
)


class Difference(NamedTuple):
    """The numbers of rows that are missing, too many, or have other values."""

    wrong_rows: int
    expected_rows: int


async def prepare_database(
    servers: Servers, database: str, records: Iterable[LogRecord], *, applied: bool, rows_before: int
) -> None:
    """Create tables, owners and the expected rows; with `applied`, the tables get the expected rows too."""
    await upgrade(servers.url(database))
    rows = expected_tables(records)["videos"].values()
    async with servers.connected(database) as connection:
        await connection.execute(_OWNERS, {"ids": owner_ids()})
        await connection.execute(text(f"CREATE TABLE {_EXPECTED} AS SELECT {_listed(STORED_COLUMNS)} FROM videos"))
        await _copy(servers.url(database), rows)
        if applied:
            columns = _listed(STORED_COLUMNS)
            await connection.execute(text(f"INSERT INTO videos ({columns}) SELECT {columns} FROM {_EXPECTED}"))
        if rows_before:
            await connection.execute(_OTHER_VIDEOS, {"ids": owner_ids(), "rows": rows_before})
        for table in ("users", "videos", _EXPECTED):
            await connection.execute(text(f"VACUUM ANALYZE {table}"))


async def difference(connection: AsyncConnection, columns: Iterable[str] = STORED_COLUMNS) -> Difference:
    """How many rows differ in these columns."""
    compared = [name for name in columns if name != "id"]
    counted = await connection.execute(
        text(
            f"SELECT count(*) FILTER (WHERE e.id IS NULL OR v.id IS NULL "
            f"OR ({_listed(compared, 'e')}) IS DISTINCT FROM ({_listed(compared, 'v')})), count(e.id) "
            f"FROM {_EXPECTED} e FULL JOIN videos v ON v.id = e.id"
        )
    )
    return Difference(*counted.one())


async def _copy(url: str, rows: Iterable[Row]) -> None:
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn)
    try:
        records = (tuple(row.get(column) for column in STORED_COLUMNS) for row in rows)
        await connection.copy_records_to_table(_EXPECTED, records=records, columns=STORED_COLUMNS)
    finally:
        await connection.close()


def _listed(columns: Iterable[str], of: str = "") -> str:
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column}" for column in columns)
