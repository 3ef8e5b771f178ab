"""Real services for all tests: one PostgreSQL and one broker a session, a database of its own for each test."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from consumer.settings import Settings
from demo.broker import EmbeddedBroker
from demo.postgres import EmbeddedPostgres
from migrations.runner import upgrade

_TEMPLATE = "migrated"

# Shared machines stall: no example may fail for the time it took.
hypothesis.settings.register_profile(
    "reelsync", deadline=None, max_examples=200, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("reelsync")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The package's PostgreSQL, or another version whose programs are in TEST_POSTGRES_BINARIES."""
    binaries = os.environ.get("TEST_POSTGRES_BINARIES")
    with EmbeddedPostgres(durable=False, binaries=Path(binaries) if binaries else None) as server:
        server.create_database(_TEMPLATE)
        asyncio.run(upgrade(server.url(_TEMPLATE)))
        yield server


class ExternalBroker(EmbeddedBroker):
    """A broker that runs already, Apache Kafka for one; only its topics are ours."""

    bootstrap_servers = ""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__()
        self.bootstrap_servers = bootstrap_servers


@pytest.fixture(scope="session")
def broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker, or the one at TEST_BOOTSTRAP_SERVERS."""
    external = os.environ.get("TEST_BOOTSTRAP_SERVERS")
    if external:
        yield ExternalBroker(external)
        return
    with EmbeddedBroker() as server:
        yield server


@pytest.fixture
def database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a migrated database that nobody else uses."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.create_database(name, _TEMPLATE)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def topics(broker: EmbeddedBroker) -> dict[str, str]:
    """Topics of the test's own, three partitions each, and what they are about."""
    suffix = secrets.token_hex(4)
    topics = {f"video-{suffix}": "video", f"user-{suffix}": "user", f"model-usage-{suffix}": "model_usage"}
    await broker.create_topics(dict.fromkeys(topics, 3))
    return topics


@pytest.fixture
def settings(database: str, broker: EmbeddedBroker, topics: dict[str, str]) -> Settings:
    """Settings for a consumer of the test's own topics and database, as a group of its own."""
    return Settings.model_validate(
        {
            "kafka": {
                "bootstrap_servers": broker.bootstrap_servers,
                "group_id": f"group-{secrets.token_hex(4)}",
                "topics": topics,
                "session_timeout_ms": 1000,
                "anchor_timeout_ms": 1000,
            },
            "database": {"url": database, "lock_timeout": 2.0},
        }
    )
