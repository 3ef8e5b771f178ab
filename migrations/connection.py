"""One connection for one purpose, opened and closed for it."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text

from reelsync.models.engine import Password, create_single_use_engine

T = TypeVar("T")

_SEARCH_PATH = text("SELECT set_config('search_path', :path, :only_this_transaction)")


async def connected(url: str, act: Callable[[Connection], T], password: Password | None = None) -> T:
    """What `act` returns, called with a connection of its own. `password` counts more than the URL's."""
    engine = create_single_use_engine(url, password)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(act)
    finally:
        await engine.dispose()


def use_schema(connection: Connection, schema: str | None, *, only_this_transaction: bool) -> None:
    """Find tables in this schema, and make them there; None: where the role's search_path says.

    A pooler may lend the session to another client after a transaction, so only a migration may change all of it.
    """
    if schema is not None:
        values = {"path": f'"{schema}"', "only_this_transaction": only_this_transaction}
        connection.execute(_SEARCH_PATH, values, execution_options={"query_name": "schema.read"})
