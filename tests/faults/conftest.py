"""A campaign for each fault test, and the table of what all of them found."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.faults.campaign import SEEDS, Campaign
from tests.faults.effects import install_effects
from tests.faults.outcomes import Outcome, table, write
from tests.faults.proxy import TcpProxy, database_proxy
from tests.services.containers import ContainerBroker
from tests.services.contract import Broker

_OUTCOME = "outcome of a campaign"
"""A property of a test's report, which is how it gets here from the process that ran the test."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of all campaigns."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [
        pair for report in reports for pair in getattr(report, "user_properties", ()) if report.when == "call"
    ]
    found = [Outcome(**outcome) for name, outcome in properties if name == _OUTCOME]
    if not found:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(table(found))
    if path := os.environ.get("FAULTS_JSON"):
        write(found, Path(path))


@pytest.fixture(scope="session")
def kafka_proxy() -> Iterator[TcpProxy]:
    with TcpProxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def reelsync_broker(tier: str, kafka_proxy: TcpProxy) -> Iterator[Broker]:
    """A broker whose clients all come through the proxy, in the place of the one that topics are made on."""
    server = ContainerBroker(kafka_proxy.port) if tier == "containers" else EmbeddedBroker(None, kafka_proxy.port)
    with server:
        kafka_proxy.target = server.address
        yield server


@pytest.fixture(scope="session")
def broker(reelsync_broker: Broker) -> Broker:
    """Of this folder: the one above is kept for the session with the broker that it was made of first."""
    return reelsync_broker


@pytest.fixture
def postgres_proxy(operator_url: str) -> Iterator[TcpProxy]:
    with database_proxy(operator_url) as proxy:
        yield proxy


@pytest.fixture
def small_batches(settings: Settings) -> Settings:
    """Many transactions, and servers that are given up soon."""
    database = settings.database.model_copy(
        update={
            "statement_timeout": 2.0,
            "lock_timeout": 1.0,
            "idle_in_transaction_timeout": 2.0,
            "connect_timeout": 2.0,
        }
    )
    return settings.model_copy(
        update={"batch": settings.batch.model_copy(update={"max_records": 60}), "database": database}
    )


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed {seed}")
async def campaign(
    request: pytest.FixtureRequest, small_batches: Settings, operator: AsyncConnection, tmp_path: Path
) -> Campaign:
    await install_effects(operator)
    return Campaign(small_batches, operator, tmp_path, request.param)


@pytest.fixture
def outcomes(tier: str, record_property: Callable[[str, object], None]) -> Callable[[Outcome], None]:
    """Take an outcome into the table, and fail if it is not clean."""

    def take(outcome: Outcome) -> None:
        record_property(_OUTCOME, asdict(replace(outcome, servers=tier)))
        assert outcome.is_clean, outcome

    return take
