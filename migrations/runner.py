"""Migrations without Alembic's own command: what `reelsync migrate`, the start-up check and the tests call."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from models.engine import create_single_use_engine

T = TypeVar("T")


def head_revision() -> str:
    """The newest revision that this version of reelsync knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        message = "there are no revisions in migrations/versions"
        raise RuntimeError(message)
    return head


async def current_revision(url: str) -> str | None:
    """The revision that the database is at; None before the first."""
    return await _connected(url, lambda connection: MigrationContext.configure(connection).get_current_revision())


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to a revision. Runs alone; waits a minute at most for another runner."""
    await _connected(url, lambda connection: command.upgrade(_config(connection), revision))


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to a revision. Data in what is dropped is lost."""
    await _connected(url, lambda connection: command.downgrade(_config(connection), revision))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


async def _connected(url: str, act: Callable[[Connection], T]) -> T:
    engine = create_single_use_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(act)
    finally:
        await engine.dispose()
