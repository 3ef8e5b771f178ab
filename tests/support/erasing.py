"""People who are erased: events that say so, and looking for what is left of them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.builders import an_id, record, structured
from tests.support.roles import SCHEMA


def erased(number: int = 1, **fields: Any) -> Any:
    """The record that erases the person who is user `number`."""
    user_id = an_id(1000 + number)
    value = structured("user.erased", {"user_id": user_id}, id=f"erase-{number}-{fields.get('offset', 0)}")
    return record(value, **({"topic": "user-events", "key": user_id.encode()} | fields))


async def traces(engine: AsyncEngine, words: Iterable[str]) -> list[tuple[str, str, str]]:
    """Where any of the words stands in the database, as text or in bytes: table, column and word."""
    found = []
    async with engine.connect() as connection:
        columns = await connection.execute(
            text(
                "SELECT table_name, column_name, udt_name FROM information_schema.columns WHERE table_schema = :schema"
            ),
            {"schema": SCHEMA},
        )
        for table, column, kind in columns.all():
            for word in words:
                searched = f"CAST({table}.{column} AS text)"
                if kind == "bytea":
                    searched = f"encode({table}.{column}, 'escape')"
                elif kind == "_bytea":
                    searched = f"(SELECT string_agg(encode(h, 'escape'), ' ') FROM unnest({table}.{column}) h)"
                query = text(
                    f"SELECT EXISTS (SELECT FROM {SCHEMA}.{table} WHERE strpos(lower({searched}), lower(:word)) > 0)"
                )
                if await connection.scalar(query, {"word": word}):
                    found.append((table, column, word))
    return found
