"""The primary dies, or becomes a server that only reads, and its asynchronous standby takes its place."""

from collections.abc import AsyncIterator, Iterator
from itertools import cycle, islice

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.migrations.runner import upgrade
from reelsync.models import create_engine
from tests.faults.campaign import ROUNDS, Campaign
from tests.faults.test_postgres_faults import Take
from tests.support.roles import TEST_SCHEMA, create_roles, roles_of
from tests.support.standby import Pair, two_servers

BEHIND = "killed while idle, with its standby behind"
"""Nothing new is published then: the consumer must find out by itself that rows are gone."""
KINDS = ("killed", BEHIND, "switched over")
_API_CONNECTIONS = 3
_POSITIONS = text("SELECT sum(next_offset) FROM consumer_offsets")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with two_servers() as servers:
        yield servers


@pytest.fixture
async def operator_url(pair: Pair) -> str:
    """A migrated database on whichever of the two servers takes writes."""
    login = pair.primary.url()
    await upgrade(create_roles(login, database="postgres").migrate_url, schema=TEST_SCHEMA)
    create_roles(login, database="postgres")
    return pair.url(login)


@pytest.fixture
def database(pair: Pair, operator_url: str) -> str:
    assert operator_url
    return pair.url(roles_of(pair.primary.url(), database="postgres").run_url)


@pytest.fixture
async def operator(operator_url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_engine(operator_url, pool_size=1, max_overflow=0, search_path=TEST_SCHEMA)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection
    await engine.dispose()


@pytest.fixture
async def api(operator_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of a service that writes rows of its own, with several open connections."""
    engine = create_engine(operator_url, pool_size=_API_CONNECTIONS)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE notes (round int PRIMARY KEY)"))
    yield engine
    await engine.dispose()


async def test_a_standby_is_promoted(campaign: Campaign, pair: Pair, api: AsyncEngine, outcomes: Take) -> None:
    first = await pair.timeline()
    with campaign.consumer():
        await campaign.apply(20)
        for number, kind in enumerate(islice(cycle(KINDS), ROUNDS)):
            await _ports_of(api)
            await _fail_over(campaign, pair, kind)
            await campaign.reconnect()
            if kind != BEHIND:
                await campaign.publish(20)
            await campaign.recover()
            await _write(api, number)
            assert await _ports_of(api) == {pair.primary.port}
            await pair.follow_again()
    assert await pair.timeline() == first + ROUNDS
    outcomes(await campaign.judge("failover to an asynchronous standby", ROUNDS))


async def _fail_over(campaign: Campaign, pair: Pair, kind: str) -> None:
    if kind == BEHIND:
        await pair.cut_off()
        await campaign.apply(20)
        confirmed = await campaign.operator.scalar(_POSITIONS)
        await pair.kill_and_promote()
        await campaign.reconnect()
        assert await campaign.operator.scalar(_POSITIONS) < confirmed, "no transaction was lost"
        return
    async with campaign.flow(100):
        await campaign.progress(campaign.rng.randrange(1, 80))
        await (pair.kill_and_promote() if kind == "killed" else pair.switch_over())


async def _write(api: AsyncEngine, number: int) -> None:
    """Write a row. One attempt may fail: the one that finds out that the server changed."""
    for _ in range(2):
        try:
            async with api.begin() as connection:
                await connection.execute(text("INSERT INTO notes VALUES (:round)"), {"round": number})
        except DBAPIError:
            continue
        return
    pytest.fail("a second attempt met the old server too")


async def _ports_of(api: AsyncEngine) -> set[int]:
    """The servers that the pool's connections are to, all of them at once."""
    connections = [await api.connect() for _ in range(_API_CONNECTIONS)]
    ports = {int(await connection.scalar(text("SELECT inet_server_port()"))) for connection in connections}
    for connection in connections:
        await connection.close()
    return ports
