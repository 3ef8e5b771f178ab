"""A row that takes longer to write than a statement may take."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.models.engine import create_engine
from tests.support.roles import TEST_SCHEMA

STATEMENT_SECONDS = 0.5


async def slow_row(operator: AsyncConnection, table: str, key: str) -> None:
    """From now on each write of the row with this id takes longer than that."""
    await operator.execute(
        text(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql "
            f"AS 'BEGIN PERFORM pg_sleep({4 * STATEMENT_SECONDS}); RETURN NEW; END'"
        )
    )
    await operator.execute(
        text(
            f"CREATE TRIGGER dawdle BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW "
            f"WHEN (NEW.id = '{key}') EXECUTE FUNCTION dawdle()"
        )
    )


@asynccontextmanager
async def impatient(database: str) -> AsyncIterator[AsyncEngine]:
    """An engine whose statements may not take long, and wait for a lock for less than that."""
    engine = create_engine(
        database, search_path=TEST_SCHEMA, statement_timeout=STATEMENT_SECONDS, lock_timeout=STATEMENT_SECONDS / 2
    )
    yield engine
    await engine.dispose()
