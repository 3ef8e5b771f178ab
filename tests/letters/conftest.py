"""A database of the test's own, and an engine on it in the role that runs."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.models.engine import create_engine
from tests.support.roles import TEST_SCHEMA


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    yield engine
    await engine.dispose()
