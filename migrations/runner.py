"""Migrations without Alembic's own command: what `reelsync migrate` and the tests call."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from reelsync.models.engine import Password

from . import revisions
from .connection import connected


async def upgrade(url: str, revision: str = "head", password: Password | None = None) -> None:
    """Bring the database up to a revision. Runs alone; waits a minute at most for another runner."""
    await connected(url, lambda connection: command.upgrade(_config(connection), revision), password)


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to a revision. Data in what is dropped is lost."""
    await connected(url, lambda connection: command.downgrade(_config(connection), revision))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.SCRIPTS))
    config.attributes["connection"] = connection
    return config
