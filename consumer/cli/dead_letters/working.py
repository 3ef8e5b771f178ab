"""A command's connection to the letters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from consumer.database_errors import explained
from consumer.engines import engine_of
from consumer.letters import reading
from consumer.letters.selection import Selection
from consumer.settings import Settings


@asynccontextmanager
async def letters_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine for one command.

    Raises:
        ReelsyncError: the database cannot be used; says why.
    """
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            yield engine
    finally:
        await engine.dispose()


async def count_letters(engine: AsyncEngine, group: str, selection: Selection) -> int:
    """How many letters are selected."""
    async with engine.connect() as connection:
        return await reading.count(connection, group, selection)
