"""Engines, from plain values: no settings are read here."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from .database_url import for_asyncpg


def create_engine(  # noqa: PLR0913 - each names one property of the pool or the session
    url: str,
    *,
    pool_size: int = 20,
    max_overflow: int = 30,
    pool_timeout: float = 30.0,
    pool_recycle: int = 3600,
    pool_pre_ping: bool = True,
    connect_timeout: float = 10.0,
    statement_timeout: float = 60.0,
    lock_timeout: float = 10.0,
    idle_in_transaction_timeout: float = 30.0,
    application_name: str = "reelsync",
) -> AsyncEngine:
    """An engine on `postgresql+asyncpg`, with the query parameters that psql takes. Times are in seconds.

    Connections go back to the pool by rollback. Parameters never show in errors or logs. A server that does not
    answer at all is given up five seconds after its own statement timeout should have ended the statement.
    """
    address, from_query = for_asyncpg(url)
    connect_args: dict[str, Any] = from_query | {
        "timeout": connect_timeout,
        "command_timeout": statement_timeout + 5,
        "server_settings": {
            "application_name": application_name,
            "statement_timeout": _milliseconds(statement_timeout),
            "lock_timeout": _milliseconds(lock_timeout),
            "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_timeout),
            "timezone": "UTC",
        },
    }
    return create_async_engine(
        address,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=pool_timeout,
        pool_recycle=pool_recycle,
        pool_pre_ping=pool_pre_ping,
        pool_reset_on_return="rollback",
        hide_parameters=True,
        connect_args=connect_args,
    )


def create_single_use_engine(url: str) -> AsyncEngine:
    """An engine for a migration: no pool, and the server's own timeouts."""
    address, connect_args = for_asyncpg(url)
    return create_async_engine(address, poolclass=NullPool, hide_parameters=True, connect_args=connect_args)


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
