"""The broker and the PostgreSQL that all contenders share: embedded, in a container, or already running."""

import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Literal

import psutil
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from benchmarks.accounting import Pids
from benchmarks.kafka_container import kafka_container
from reelsync.models.database_url import parse_url, place_of
from reelsync.testing.servers.child_process import ServiceError
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres

BrokerChoice = Literal["embedded", "kafka"]

_POSTGRES = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h"}
"""Without this, a checkpoint during one contender's turn would slow that one only. One is made before each turn."""
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_]")


@dataclass(frozen=True)
class Servers:
    """The servers' addresses, versions, and processes if they run on this machine; otherwise their CPU is not known."""

    bootstrap_servers: str
    broker_name: str
    broker_pids: Pids
    database_url: str
    """The URL of a role that may create databases and lock tables."""
    postgres_name: str
    postgres_pids: Pids

    def url(self, database: str) -> str:
        """The URL of another database of the server."""
        return parse_url(self.database_url).set(database=database).render_as_string(hide_password=False)

    @asynccontextmanager
    async def connected(self, database: str | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction of its own."""
        url = self.url(database) if database else self.database_url
        engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database. The template must not have any connections."""
        copied = f" TEMPLATE {_quoted(template)} STRATEGY FILE_COPY" if template else ""
        async with self.connected() as connection:
            await connection.execute(text(f"CREATE DATABASE {_quoted(name)}{copied}"))

    async def drop_database(self, name: str) -> None:
        """Drop a database and its connections."""
        async with self.connected() as connection:
            await connection.execute(text(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)"))


@contextmanager
def servers(broker: BrokerChoice = "embedded") -> Iterator[Servers]:
    """The servers, while the block runs.

    BENCH_BOOTSTRAP_SERVERS and BENCH_DATABASE_URL name servers that are already running, BENCH_BROKER_PID and
    BENCH_POSTGRES_PID their processes.

    Raises:
        ServiceError: one of them did not start.
    """
    with _broker(broker) as (bootstrap_servers, broker_name, broker_pids), _postgres() as (url, name, postgres_pids):
        yield Servers(bootstrap_servers, broker_name, broker_pids, url, name, postgres_pids)


@contextmanager
def _broker(choice: BrokerChoice) -> Iterator[tuple[str, str, Pids]]:
    if external := os.environ.get("BENCH_BOOTSTRAP_SERVERS"):
        yield external, f"broker at {external}", _pids("BENCH_BROKER_PID")
    elif choice == "kafka":
        with kafka_container() as container:
            yield container.bootstrap_servers, f"Apache Kafka, {container.image}", (container.pid,)
    else:
        with EmbeddedBroker() as embedded:
            yield embedded.bootstrap_servers, "embedded broker (Tansu, in memory: not Apache Kafka)", (embedded.pid,)


@contextmanager
def _postgres() -> Iterator[tuple[str, str, Pids]]:
    if external := os.environ.get("BENCH_DATABASE_URL"):
        try:
            place = place_of(parse_url(external))
        except ValueError as error:
            raise ServiceError(f"BENCH_DATABASE_URL {error}") from None
        yield external, f"at {place}", _pids("BENCH_POSTGRES_PID")
        return
    with EmbeddedPostgres(settings=_POSTGRES) as embedded:
        yield embedded.url(), "embedded", (embedded.pid,)


def _pids(variable: str) -> Pids:
    given = os.environ.get(variable)
    if given is None:
        return ()
    if not given.isdigit() or not psutil.pid_exists(int(given)):
        raise ServiceError(f"{variable} must be the id of a process of this machine")
    return (int(given),)


def fresh_name(purpose: str) -> str:
    """An unused name for a topic, a group or a database."""
    return f"bench_{_NOT_IN_NAMES.sub('_', purpose.lower())}_{secrets.token_hex(4)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
