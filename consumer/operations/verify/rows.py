"""Reading the rows of the database, to compare them."""

from collections.abc import AsyncIterator

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from .changes import Row
from .reference import STATES, TABLES

_KEYS = dict.fromkeys(TABLES, "id") | {"user_profiles": "user_id", STATES: "video_id"}


def _rows_of(table: str) -> TextClause:
    return text(f"SELECT * FROM {table} WHERE get_byte(uuid_send({_KEYS[table]}), 15) % :slices = :slice")


_ROWS = {table: _rows_of(table) for table in _KEYS}


async def read_rows(
    connection: AsyncConnection, table: str, slices: int, number: int
) -> AsyncIterator[tuple[str, Row]]:
    """The rows of a table in one of so many slices by their ids, each with its id. That of a state has its version."""
    options = {"query_name": "verify", "yield_per": 2_000}
    parameters = {"slices": slices, "slice": number}
    async with connection.stream(_ROWS[table], parameters, execution_options=options) as found:
        async for rows in found.mappings().partitions(100):
            for row in rows:
                key = str(row[_KEYS[table]])
                yield f"{key}/{row['version']}" if table == STATES else key, dict(row)
