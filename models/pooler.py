"""Connections through a pooler such as PgBouncer, which lends server connections and refuses most startup parameters.

What is otherwise set once for a session is set in every transaction, in the message that begins it: one round trip, as
without a pooler, and it holds on whatever server connection the pooler lends.
"""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Pooler = Literal["none", "session", "transaction"]
"""What is between us and the server: nothing, or a pooler that lends connections for sessions or for transactions."""

PROTOCOL_VIOLATION = "08P01"
"""The SQLSTATE of everything that PgBouncer itself refuses, startup parameters among them."""

# PgBouncer keeps these for each client, and sets them again on every server connection that it lends.
_KEPT_BY_POOLERS = frozenset({"application_name", "timezone"})
_HINT = "if this is a connection pooler, make the engine with pooler='session' or pooler='transaction'"
_BACKEND = text("SELECT pg_backend_pid()")
_NAMED = {"query_name": "pooler.find"}


def connect_arguments(server_settings: Mapping[str, str], pooler: Pooler) -> dict[str, Any]:
    """Arguments of `asyncpg.connect` with which these settings of the server hold.

    With a pooler they hold inside transactions alone; a connection in AUTOCOMMIT has the server's own.
    """
    if pooler == "none":
        return {"server_settings": dict(server_settings)}
    kept = {name: value for name, value in server_settings.items() if name in _KEPT_BY_POOLERS}
    local = {name: value for name, value in server_settings.items() if name not in _KEPT_BY_POOLERS}
    arguments: dict[str, Any] = {"server_settings": kept, "connection_class": _beginning_with(local)}
    if pooler == "transaction":
        # asyncpg then uses unnamed statements only, and parses each in the message that runs it.
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    return arguments


async def connect(*args: Any, **kwargs: Any) -> Any:
    """`asyncpg.connect`, with a hint in the error if the other side does not take our startup parameters."""
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    try:
        return await asyncpg.connect(*args, **kwargs)
    except asyncpg.ProtocolViolationError as error:
        if "connection_class" not in kwargs:
            error.args = (f"{error.args[0]} ({_HINT})",)
        raise


async def find_pooler(engine: AsyncEngine) -> Pooler:
    """What is between this engine and the server. Uses two connections, and ends their transactions.

    A pooler makes up the process id that a client is told at its login. That it lends connections for a transaction
    shows when a second client gets the one that the first client had, or the first one gets another than before. On a
    busy pooler neither is certain to happen, and "session" may be wrong.
    """
    async with engine.connect() as first, engine.connect() as second:
        lent = await _backend(first)
        if await _told_at_login(first) == lent:
            return "none"
        is_session = await _backend(second) != lent and await _backend(first) == lent
    return "session" if is_session else "transaction"


async def _backend(connection: AsyncConnection) -> int:
    """The server process of one transaction."""
    pid = await connection.scalar(_BACKEND, execution_options=_NAMED)
    await connection.rollback()
    return int(pid or 0)


async def _told_at_login(connection: AsyncConnection) -> int:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return int(driver.get_server_pid())


def _beginning_with(settings: Mapping[str, str]) -> type:
    """A connection that sets these in the message that begins a transaction, so that they hold until its end."""
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    local = "".join(f"; SET LOCAL {name} = {value}" for name, value in settings.items())

    class Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
        async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
            # asyncpg sends BEGIN through this method. `SET` takes no snapshot, unlike a SELECT of set_config.
            whole = query.rstrip(";") + local if query.startswith("BEGIN") and not args else query
            return str(await super().execute(whole, *args, timeout=timeout))

    return Connection
