"""What several files need: sessions of the administrator, and databases whose roles were made."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from reelsync.migrations.runner import upgrade
from reelsync.models.engine import create_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.roles import TEST_SCHEMA, Roles, create_roles, roles_of


@pytest.fixture
async def engine(operator_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(operator_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def admin(postgres: EmbeddedPostgres) -> Iterator[URL]:
    """The administrator, in a database where nothing was done yet."""
    name = f"roles_{secrets.token_hex(6)}"
    postgres.create_database(name)
    yield make_url(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def settled(postgres: EmbeddedPostgres) -> Iterator[URL]:
    """The administrator, in a database whose roles were made, that one of them migrated, and that nobody changes."""
    name = "roles_settled"
    postgres.create_database(name)
    made = create_roles(postgres.url(), database=name)
    asyncio.run(upgrade(made.migrate_url, schema=TEST_SCHEMA))
    create_roles(postgres.url(), database=name)
    yield make_url(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture
def roles(settled: URL) -> Roles:
    return roles_of(settled.render_as_string(hide_password=False), database=str(settled.database))
