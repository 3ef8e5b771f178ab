"""The service on a database of its own, beside a consumer that reads what it publishes."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from examples.upload.tables import Base
from examples.upload.uploads import Uploads
from reelsync.events import Aggregate
from reelsync.events.publishing import AIOKAFKA_OPTIONS, EventEncoder
from reelsync.testing.servers import Broker, DatabaseServer


@pytest.fixture
def uploads_url(reelsync_postgres: DatabaseServer) -> Iterator[str]:
    """An empty database for the service."""
    name = f"uploads_{secrets.token_hex(6)}"
    reelsync_postgres.create_database(name)
    yield reelsync_postgres.url(name)
    reelsync_postgres.drop_database(name)


@pytest.fixture
async def engine(uploads_url: str) -> AsyncIterator[AsyncEngine]:
    """The service's engine, its tables made."""
    engine = create_async_engine(uploads_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture
def uploads(engine: AsyncEngine, reelsync_topics: dict[Aggregate, str]) -> Uploads:
    """The service."""
    return Uploads(async_sessionmaker(engine), EventEncoder(source="/upload/test", topics=reelsync_topics))


@pytest.fixture
async def producer(reelsync_broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    """The producer that the relay sends with."""
    servers = reelsync_broker.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, **AIOKAFKA_OPTIONS) as producer:
        yield producer
