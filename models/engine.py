"""Engines, made from plain values without reading settings; and the state of their connection pools."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import AdaptedConnection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from . import pooler as poolers
from .database_url import for_asyncpg
from .pooler import Pooler

Password = Callable[[], str | Awaitable[str]]
"""Called for each new connection."""

_READ_ONLY_TRANSACTION = "25006"
_CONNECT_SECONDS = 10.0

_invalidated: WeakKeyDictionary[Engine, Counter[str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class PoolStats:
    """The connections of a pool at one moment; `invalid` counts since the engine was made."""

    size: int
    """Connections kept open, at most."""
    checked_in: int
    """Open and idle."""
    checked_out: int
    """In use: exactly as many as the sessions and connections that hold one."""
    overflow: int
    """How many of the open ones are beyond `size`."""
    invalid: int
    """Found broken and thrown away."""


class _Pool(NamedTuple):
    """The pool's options for SQLAlchemy, by its own names."""

    pool_size: int
    max_overflow: int
    pool_timeout: float
    pool_recycle: int
    pool_pre_ping: bool
    pool_reset_on_return: Literal["rollback", "commit"] | None


class _Limits(NamedTuple):
    """The seconds after which the server ends a statement, a wait for a lock or a transaction."""

    statement: float
    lock: float
    idle_in_transaction: float
    client_check: float
    """How often the server checks whether the client of a running statement is still there.

    A task may be cancelled again while its statement is being cancelled (a cancel scope of anyio does that until the
    task has ended). Then its connection is dropped while the statement still runs, and the server ends the statement
    after this time. A server on Windows cannot check that. Source:
    https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
    """

    def server_settings(self) -> dict[str, str]:
        """These limits as settings of PostgreSQL."""
        settings = {
            "statement_timeout": _milliseconds(self.statement),
            "lock_timeout": _milliseconds(self.lock),
            "idle_in_transaction_session_timeout": _milliseconds(self.idle_in_transaction),
        }
        if self.client_check:
            settings["client_connection_check_interval"] = _milliseconds(self.client_check)
        return settings


def create_engine(  # noqa: PLR0913 - each names one property of the pool or the session
    url: str,
    *,
    pool_size: int = 20,
    max_overflow: int = 30,
    pool_timeout: float = 30.0,
    pool_recycle: int = 3600,
    pool_pre_ping: bool = True,
    pool_reset_on_return: Literal["rollback", "commit"] | None = "rollback",
    connect_timeout: float = _CONNECT_SECONDS,
    statement_timeout: float = 60.0,
    lock_timeout: float = 10.0,
    idle_in_transaction_timeout: float = 30.0,
    client_check_interval: float = 5.0,
    application_name: str = "reelsync",
    search_path: str | None = None,
    pooler: Pooler = "none",
    password: Password | None = None,
) -> AsyncEngine:
    """An engine on `postgresql+asyncpg`, with the query parameters that psql takes. Times are in seconds.

    Connections go back to the pool by rollback: who meant to commit did so, and a connection that comes back in the
    middle of a transaction comes from something that went wrong or was cancelled. "commit" would make that half
    permanent; None would hand its locks to the next user. Parameters never show in errors or logs.

    `pooler` says what is between this engine and the server: a pooler such as PgBouncer in its session or transaction
    mode. The time limits then hold in each transaction, and in AUTOCOMMIT not at all. `password`, a function or a
    coroutine function, is called for each new connection, and is used instead of the URL's. The server checks each
    `client_check_interval` whether the client of a statement is still there, and ends the statement if not; 0, for
    Windows, turns that off.
    """
    pool = _Pool(pool_size, max_overflow, pool_timeout, pool_recycle, pool_pre_ping, pool_reset_on_return)
    limits = _Limits(statement_timeout, lock_timeout, idle_in_transaction_timeout, client_check_interval)
    address, connect_args = for_asyncpg(url)
    connect_args |= _connect_arguments(limits, application_name, search_path, pooler)
    connect_args |= {"timeout": connect_timeout, **_login(password)}
    engine = create_async_engine(address, **pool._asdict(), hide_parameters=True, connect_args=connect_args)
    _watch_connections(engine.sync_engine)
    engine.dialect.do_ping = _ping  # type: ignore[assignment,method-assign] # asyncpg's connections are adapted ones
    return engine


def get_pool_stats(engine: AsyncEngine) -> PoolStats:
    """The state of the pool of an engine that `create_engine` made.

    Raises:
        ValueError: the engine was not made by `create_engine`, so its broken connections were not counted.
    """
    pool = engine.pool
    counted = _invalidated.get(engine.sync_engine)
    if counted is None or not isinstance(pool, QueuePool):
        raise ValueError("no pool is counted for this engine: make it with models.create_engine")
    return PoolStats(
        size=pool.size(),
        checked_in=pool.checkedin(),
        checked_out=pool.checkedout(),
        # QueuePool counts from -size: below zero, it has not filled up yet.
        overflow=max(0, pool.overflow()),
        invalid=counted.total(),
    )


def _connect_arguments(
    limits: _Limits, application_name: str, search_path: str | None, pooler: Pooler
) -> dict[str, Any]:
    """The options of asyncpg for each connection.

    A server that does not answer at all is given up five seconds after its own timeout should have ended the statement.
    """
    settings = {"application_name": application_name, "timezone": "UTC", **limits.server_settings()}
    if search_path is not None:
        settings["search_path"] = search_path
    return {
        "command_timeout": limits.statement + 5,
        "async_creator_fn": poolers.connect,
        **poolers.connect_arguments(settings, pooler),
    }


def _watch_connections(engine: Engine) -> None:
    event.listen(engine, "handle_error", _leave_server_that_only_reads)
    # A pool does not count this, so its events are counted. They continue after `dispose`, which makes a new pool.
    counted = _invalidated[engine] = Counter()

    def count(_connection: object, _record: object, error: BaseException | None) -> None:
        counted["asked" if error is None else type(error).__name__] += 1

    event.listen(engine, "invalidate", count)
    event.listen(engine, "soft_invalidate", count)


def _ping(connection: AdaptedConnection) -> bool:
    """Whether the server answers, asked in one round trip. SQLAlchemy takes three, because it begins a transaction.

    The question is sent as text, which needs no prepared statement, so any pooler can answer it.
    """
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    try:
        connection.run_async(lambda driver: driver.execute("SELECT"))
    # The last is raised between the last message of a server that ends the connection and its end.
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False
    return True


def _leave_server_that_only_reads(context: ExceptionContext) -> None:
    """Close all connections of the pool once a server refuses to write, as SQLAlchemy does when a connection breaks.

    After a switchover the former primary lives on. A new connection goes to where the URL leads by then.
    """
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def create_single_use_engine(url: str, password: Password | None = None) -> AsyncEngine:
    """An engine for a migration: no pool, the server's own timeouts, and no prepared statements, for any pooler."""
    address, from_query = for_asyncpg(url)
    without_statements = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    connect_args = {"timeout": _CONNECT_SECONDS} | from_query | without_statements | _login(password)
    return create_async_engine(address, poolclass=NullPool, hide_parameters=True, connect_args=connect_args)


def _login(password: Password | None) -> dict[str, Password]:
    return {} if password is None else {"password": password}


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
