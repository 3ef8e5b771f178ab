"""The fixtures. All are synchronous, so that they work in tests of every kind, with any asyncio plugin or none.

Every run of pytest where reelsync is installed loads this module, so everything else is imported inside the fixtures.
"""

import asyncio
import secrets
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from reelsync.consumer.settings import Settings

    from .consumer_thread import RunningConsumer
    from .servers import Broker, DatabaseServer, Kind

_KINDS = ("auto", "containers", "embedded")
_TEMPLATE = "reelsync_migrated"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses where the servers come from."""
    parser.getgroup("reelsync").addoption(
        "--reelsync-servers",
        choices=_KINDS,
        help="containers, embedded, or auto (containers where there is a Docker engine). Default: the ini option",
    )
    parser.addini("reelsync_servers", "as --reelsync-servers", default="auto")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Name the missing extra if a fixture of reelsync lacks a module. pytest raises the same error in later tests."""
    try:
        return (yield)
    except ModuleNotFoundError as error:
        if fixturedef.argname.startswith("reelsync_"):
            error.msg = f"{fixturedef.argname} needs {error.name}, which is not installed: install reelsync[testing]"
        raise


@pytest.fixture(scope="session")
def reelsync_servers(pytestconfig: pytest.Config) -> "Kind":
    """`containers` or `embedded`: where the servers come from."""
    from reelsync.testing.servers.docker import why_no_docker

    from .servers import available_kind

    asked = pytestconfig.getoption("--reelsync-servers") or pytestconfig.getini("reelsync_servers")
    if asked == "containers" and (why := why_no_docker()):
        raise pytest.UsageError(f"--reelsync-servers=containers, but {why}")
    if asked not in _KINDS:
        raise pytest.UsageError(f"reelsync_servers must be one of {', '.join(_KINDS)}, and is {asked}")
    kind: Kind = available_kind() if asked == "auto" else asked
    return kind


@pytest.fixture(scope="session")
def reelsync_postgres(reelsync_servers: "Kind") -> "Iterator[DatabaseServer]":
    """A PostgreSQL server: `url()` is its URL, and `create_database(name)` makes an empty database."""
    from .servers import postgres_of

    with postgres_of(reelsync_servers) as server:
        yield server


@pytest.fixture(scope="session")
def reelsync_template(reelsync_postgres: "DatabaseServer") -> str:
    """The name of a migrated database. Copying it is much faster than migrating each database."""
    from reelsync.migrations.runner import upgrade

    reelsync_postgres.create_database(_TEMPLATE)
    _run(upgrade(reelsync_postgres.url(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture(scope="session")
def reelsync_broker(reelsync_servers: "Kind") -> "Iterator[Broker]":
    """A broker; `bootstrap_servers` is its address."""
    from .servers import broker_of

    with broker_of(reelsync_servers) as server:
        yield server


@pytest.fixture
def reelsync_database_url(reelsync_postgres: "DatabaseServer", reelsync_template: str) -> Iterator[str]:
    """A migrated database for this test: the `postgresql+asyncpg://…` URL of its owner."""
    name = f"test_{secrets.token_hex(6)}"
    reelsync_postgres.create_database(name, reelsync_template)
    yield reelsync_postgres.url(name)
    reelsync_postgres.drop_database(name)


@pytest.fixture
def reelsync_topics(reelsync_broker: "Broker") -> dict[str, str]:
    """Topics for this test, with three partitions each: aggregate → topic, as `Publisher(topics=…)` takes it."""
    from .running import PARTITIONS

    suffix = secrets.token_hex(4)
    topics = {"video": f"video-{suffix}", "user": f"user-{suffix}", "model_usage": f"model-usage-{suffix}"}
    _run(reelsync_broker.create_topics(dict.fromkeys(topics.values(), PARTITIONS)))
    return topics


@pytest.fixture
def reelsync_settings(
    reelsync_broker: "Broker", reelsync_database_url: str, reelsync_topics: dict[str, str]
) -> "Settings":
    """Settings of a consumer that reads these topics and writes to this database."""
    from .settings import settings_for

    return settings_for(
        bootstrap_servers=reelsync_broker.bootstrap_servers,
        database_url=reelsync_database_url,
        topics={topic: aggregate for aggregate, topic in reelsync_topics.items()},
    )


@pytest.fixture
def reelsync_consumer(reelsync_settings: "Settings") -> "Iterator[RunningConsumer]":
    """A running consumer: publish to it, wait until it has applied everything, and look at the rows."""
    from .consumer_thread import consumer_thread

    with consumer_thread(reelsync_settings) as running:
        yield running


def _run(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run it in a thread, because the event loop of the main thread may belong to another plugin."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, coroutine).result()
