"""Databases to read."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from reelsync.models import SessionFactory, create_engine, create_session_factory, get_session
from reelsync.models.pooler import Pooler
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.queries.filling import Filled, fill
from tests.queries.reader import Reader, reading
from tests.support.pgbouncer import MODES, pgbouncer
from tests.support.roles import TEST_SCHEMA


@pytest.fixture(params=["none", *MODES])
def pooler(request: pytest.FixtureRequest) -> Pooler:
    """What stands between the reader and the server: nothing, or PgBouncer in one of its modes."""
    found: Pooler = request.param
    return found


@pytest.fixture
async def reader(operator_url: str, pooler: Pooler) -> AsyncIterator[Reader]:
    """A reader of the test's own database: a service with rights of its own, not the consumer's."""
    if pooler == "none":
        async with reading(operator_url) as reader:
            yield reader
        return
    with pgbouncer(pooler, operator_url) as started:
        async with reading(started.before(operator_url), pooler) as reader:
            yield reader


@pytest.fixture(scope="session")
def filled(postgres: EmbeddedPostgres) -> Iterator[Filled]:
    """The URL of a database with so many users and videos, filled once: nobody may write to it."""
    names: dict[tuple[int, int], str] = {}

    async def of_size(users: int, videos: int) -> str:
        if (users, videos) not in names:
            name = names[users, videos] = f"filled_{users}_{videos}_{secrets.token_hex(3)}"
            postgres.create_database(name, "migrated")
            await fill(postgres.url(name), users=users, videos=videos)
        return postgres.url(names[users, videos])

    yield of_size
    for name in names.values():
        postgres.drop_database(name)


@pytest.fixture
def address(pooler: Pooler, database: str) -> Iterator[str]:
    """The database, or PgBouncer before it."""
    if pooler == "none":
        yield database
        return
    with pgbouncer(pooler, database) as started:
        yield started.before(database)


@pytest.fixture
async def engine(address: str, pooler: Pooler) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        address,
        pooler=pooler,
        pool_size=2,
        max_overflow=1,
        pool_timeout=0.2,
        statement_timeout=600,
        client_check_interval=0.1,
        application_name="under test",
        search_path=TEST_SCHEMA,
    )
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> SessionFactory:
    return create_session_factory(engine)


@pytest.fixture
async def watch(database: str) -> AsyncIterator[AsyncSession]:
    """Another session, to see from outside."""
    engine = create_engine(database, search_path=TEST_SCHEMA)
    async with get_session(create_session_factory(engine)) as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session
    await engine.dispose()


@pytest.fixture
async def session(reader: Reader) -> AsyncIterator[AsyncSession]:
    async with reader.session() as session:
        yield session
