"""People who are erased in the tables in use, or by the log, are erased in both when a rebuild ends.

An operator's erasure is not in the log. So it is copied to the shadow tables; otherwise the rebuild would bring the
person back.
"""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.sink.erasure import erase_people
from reelsync.consumer.sink.parking import forget_people

from .shadow_tables import SCHEMA

_NAMED = {"query_name": "rebuild.erase"}
# As `digest_of` in consumer/transform/erased_people.py.
_DIGEST = """
    CAST(encode(substring(sha256(convert_to('reelsync erased user ' || u.id, 'UTF8')) FOR 16), 'hex') AS uuid)
"""


async def copy_erased(connection: AsyncConnection, live: str) -> None:
    """Copy the erasures of the tables in use to the shadow tables, before anything is replayed into these."""
    await connection.execute(_copy(live, SCHEMA), execution_options=_NAMED)


async def erase_in_shadow(connection: AsyncConnection, live: str) -> None:
    """Erase in the shadow tables the people who were erased in the tables in use since `copy_erased`."""
    await _erase(connection, live, SCHEMA)


async def erase_in_use(connection: AsyncConnection, live: str) -> None:
    """Erase in the tables in use the people whom only the log erases: a restore may have lost their erasure."""
    await _erase(connection, SCHEMA, live)


async def _erase(connection: AsyncConnection, source: str, target: str) -> None:
    await connection.execute(_copy(source, target), execution_options=_NAMED)
    there = text(f"SELECT u.id FROM {target}.users u JOIN {target}.erased_users e ON e.digest = {_DIGEST}")
    user_ids = [str(found) for found in await connection.scalars(there, execution_options=_NAMED)]
    if user_ids:
        path = await connection.scalar(text("SHOW search_path"), execution_options=_NAMED)
        await connection.execute(text(f"SET LOCAL search_path TO {target}"), execution_options=_NAMED)
        async for _ in erase_people(connection, user_ids):
            pass
        await forget_people(connection, user_ids)
        await connection.execute(text(f"SET LOCAL search_path TO {path}"), execution_options=_NAMED)


def _copy(source: str, target: str) -> Any:
    return text(f"INSERT INTO {target}.erased_users SELECT * FROM {source}.erased_users ON CONFLICT DO NOTHING")
