"""One connection for one purpose, opened and closed for it."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from reelsync.models.engine import Password, create_single_use_engine

T = TypeVar("T")


async def connected(url: str, act: Callable[[Connection], T], password: Password | None = None) -> T:
    """What `act` returns, called with a connection of its own. `password` counts more than the URL's."""
    engine = create_single_use_engine(url, password)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(act)
    finally:
        await engine.dispose()
