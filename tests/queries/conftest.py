"""Databases to read."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from reelsync.models.pooler import Pooler
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.queries.filling import Filled, fill
from tests.queries.reader import Reader, reading
from tests.support.pgbouncer import MODES, pgbouncer


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
