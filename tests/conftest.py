"""Real services for all tests: a PostgreSQL and a broker for each tier, a database and topics for each test.

The servers, topics and settings are those of our own plugin for publishers' tests (reelsync_testing/plugin.py), once in
each tier; the database is ours, because our consumers run in the role that deploy/postgres/roles.sql gives them.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.settings import Settings
from reelsync.testing.servers import Broker, DatabaseServer, Kind, broker_of
from reelsync.testing.settings import settings_for
from tests.services.docker import REQUIRED, docker_is_required, why_no_docker
from tests.services.external import BOOTSTRAP_SERVERS, ExternalBroker
from tests.services.template import TEMPLATE, with_template
from tests.support.roles import TEST_SCHEMA, roles_of

_TESTS = Path(__file__).parent
_TIERS = ["external"] if BOOTSTRAP_SERVERS else ["embedded", "containers"]
_SERVERS_MATTER_NOT = {
    "browser",
    "contract",
    "languages",
    "debezium",
    "deploy",
    "letters",
    "operations",
    "queries",
    "timing",
    "workers",
    "test_background_tasks.py",
    "test_database_goes_back.py",
    "test_http.py",
    "test_least_privilege.py",
    "test_poolers.py",
    "test_readme_commands.py",
    "test_rotated_passwords.py",
    "test_schema.py",
    "test_several_hosts.py",
    "test_tls_postgres.py",
}
"""Folders and files of tests about something else, such as PostgreSQL or HTTP: one tier is enough."""
_LEFT_OUT = pytest.StashKey[str]()

# Shared machines stall: no example may fail for the time it took.
hypothesis.settings.register_profile(
    "reelsync", deadline=None, max_examples=200, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("reelsync")


def pytest_configure(config: pytest.Config) -> None:
    """Our own plugin comes by its entry point, as to everybody: an older installation has none."""
    if not config.pluginmanager.has_plugin("reelsync"):
        raise pytest.UsageError("the pytest plugin of reelsync is not installed: run `make setup`")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `--dist loadfile`, give workers the tests of a file in one tier, instead of the file in both.

    pytest puts all tests of a tier together, but a worker that is given whole files would start the servers of both
    tiers anew for every file.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not installed where tests run one by one

    class FilesOfATier(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            parameters = test.partition("[")[2]
            return path + next((tier for tier in ("containers", "embedded") if tier in parameters), "")

    return FilesOfATier(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs a broker once in every tier, or in containers alone if it needs those."""
    if "tier" in metafunc.fixturenames:
        tiers = ["containers"] if _is_about_containers(metafunc.definition) else _TIERS
        # Of the folders below this one: a checkout may be in a folder of any name.
        about_else = not _SERVERS_MATTER_NOT.isdisjoint(metafunc.definition.path.relative_to(_TESTS).parts)
        # PostgreSQL is the same program in both tiers; the brokers are two.
        asks_no_broker = tiers == _TIERS and "reelsync_broker" not in metafunc.fixturenames
        if about_else or asks_no_broker:
            tiers = _TIERS[:1]
        metafunc.parametrize("tier", tiers, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Docker, leave out what needs containers; with REELSYNC_REQUIRE_DOCKER=1, refuse to."""
    contained = [item for item in items if _needs_docker(item)]
    if not contained or (why := why_no_docker()) is None:
        return
    if docker_is_required():
        raise pytest.UsageError(f"{REQUIRED} is set, but {why}")
    config.hook.pytest_deselected(items=contained)
    items[:] = [item for item in items if not _needs_docker(item)]
    config.stash[_LEFT_OUT] = f"{len(contained)} tests in containers were left out: {why}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, in one line."""
    if left_out := config.stash.get(_LEFT_OUT, None):
        terminalreporter.write_line(left_out, yellow=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip on the embedded broker what it cannot do, with the reason that the test gives."""
    marker = item.get_closest_marker("apache_kafka")
    if marker and _tier_of(item) == "embedded":
        pytest.skip(f"the embedded broker {marker.kwargs['because']}")


@pytest.fixture(scope="session")
def tier(request: pytest.FixtureRequest) -> str:
    """Where the servers come from: embedded binaries, containers, or a broker that runs already."""
    return str(request.param)


@pytest.fixture(scope="session")
def reelsync_servers(tier: str) -> Kind:
    return "containers" if tier == "containers" else "embedded"


@pytest.fixture(scope="session")
def postgres(reelsync_postgres: DatabaseServer) -> DatabaseServer:
    return with_template(reelsync_postgres)


@pytest.fixture(scope="session")
def reelsync_broker(tier: str, reelsync_servers: Kind) -> Iterator[Broker]:
    if tier == "external":
        yield ExternalBroker()
        return
    with broker_of(reelsync_servers) as server:
        yield server


@pytest.fixture(scope="session")
def broker(reelsync_broker: Broker) -> Broker:
    return reelsync_broker


@pytest.fixture
def operator_url(postgres: DatabaseServer) -> Iterator[str]:
    """A migrated database that nobody else uses, as its server's superuser."""
    name = f"test_{secrets.token_hex(6)}"
    postgres.create_database(name, TEMPLATE)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def operator(operator_url: str) -> AsyncIterator[AsyncConnection]:
    """A connection of the person at the console, past all proxies. Each statement is a transaction."""
    engine = create_async_engine(operator_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


@pytest.fixture
def database(operator_url: str) -> str:
    """The same database, in the role that the consumer runs in: it may do what deploy/postgres/roles.sql says."""
    return roles_of(operator_url, database=str(make_url(operator_url).database)).run_url


@pytest.fixture
def topics(reelsync_topics: dict[str, str]) -> dict[str, str]:
    """Topics of the test's own, three partitions each, and what they are about."""
    return {topic: aggregate for aggregate, topic in reelsync_topics.items()}


@pytest.fixture
def settings(database: str, broker: Broker, topics: dict[str, str]) -> Settings:
    """Settings for a consumer of the test's own topics and database, as a group of its own."""
    made = settings_for(bootstrap_servers=broker.bootstrap_servers, database_url=database, topics=topics)
    return made.model_copy(update={"database": made.database.model_copy(update={"schema_name": TEST_SCHEMA})})


def _tier_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("tier") if callspec else None


def _needs_docker(item: pytest.Item) -> bool:
    return _tier_of(item) == "containers" or _is_about_containers(item)


def _is_about_containers(node: pytest.Item) -> bool:
    return node.get_closest_marker("containers") is not None or "containers" in node.path.relative_to(_TESTS).parts
