"""Connections through a pooler such as PgBouncer, which lends server connections and refuses most startup parameters.

Settings that are otherwise made once for a session are made in every transaction, in the message that begins it. That
costs no round trip, and works on whatever server connection the pooler lends.
"""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Pooler = Literal["none", "session", "transaction"]
"""What is between the client and the server: nothing, or a pooler that lends connections for sessions or transactions.
"""

# PgBouncer keeps these for each client, and sets them again on every server connection that it lends.
_KEPT_BY_POOLERS = frozenset({"application_name", "timezone"})
_HINT = "if this is a connection pooler, make the engine with pooler='session' or pooler='transaction'"
_BACKEND = text("SELECT pg_backend_pid()")
_NAMED = {"query_name": "pooler.find"}


def connect_arguments(server_settings: Mapping[str, str], pooler: Pooler) -> dict[str, Any]:
    """Arguments of `asyncpg.connect` that make these settings on the server.

    With a pooler they apply inside transactions only; in AUTOCOMMIT a connection has the server's own settings.
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
    """`asyncpg.connect`, with a hint in the error if the startup parameters are refused, and `refuses_parameters`."""
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    try:
        return await asyncpg.connect(*args, **kwargs)
    except asyncpg.ProtocolViolationError as error:
        error.refuses_parameters = await _refuses_parameters(*args, **kwargs)
        if error.refuses_parameters:
            error.args = (f"{error.args[0]} ({_HINT})",)
        raise


async def _refuses_parameters(*args: Any, **kwargs: Any) -> bool:
    """Whether a connection was refused for its startup parameters: one without them works, and one with them does not.

    A pooler refuses clients with the same SQLSTATE while its server is away.
    """
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    without = False
    try:
        await (await asyncpg.connect(*args, **kwargs | {"server_settings": {}})).close()
        without = True
        await (await asyncpg.connect(*args, **kwargs)).close()
    except asyncpg.ProtocolViolationError:
        return without
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return False


async def find_pooler(first: AsyncConnection, second: AsyncConnection) -> Pooler:
    """Find out whether there is a pooler between two connections and the server. Ends their transactions.

    A pooler invents the process id that a client gets at its login. That it lends connections for single transactions
    shows if a second client gets the server connection that the first one had, or if the first one gets another than
    before. On a busy pooler neither is certain to happen, and then the answer "session" may be wrong.
    """
    lent = await _backend(first)
    if await _process_id_at_login(first) == lent:
        return "none"
    is_session = await _backend(second) != lent and await _backend(first) == lent
    return "session" if is_session else "transaction"


async def _backend(connection: AsyncConnection) -> int:
    """The server process of one transaction."""
    pid = await connection.scalar(_BACKEND, execution_options=_NAMED)
    await connection.rollback()
    return int(pid or 0)


async def _process_id_at_login(connection: AsyncConnection) -> int:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return int(driver.get_server_pid())


def _beginning_with(settings: Mapping[str, str]) -> type:
    """A connection that makes these settings in the message that begins a transaction: they last until its end."""
    import asyncpg  # noqa: PLC0415 - the models can be used with another driver

    local = "".join(f"; SET LOCAL {name} = {value}" for name, value in settings.items())

    class Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
        async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109
            # asyncpg sends BEGIN through this method. `SET` takes no snapshot, unlike a SELECT of set_config.
            whole = query.rstrip(";") + local if query.startswith("BEGIN") and not args else query
            return str(await super().execute(whole, *args, timeout=timeout))

    return Connection
