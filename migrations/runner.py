"""Migrations without Alembic's own command: what `reelsync migrate` and the tests call."""

from io import StringIO

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from reelsync.models.engine import Password

from . import revisions
from .compatibility import VERSION_TABLE
from .connection import connected


async def upgrade(
    url: str, revision: str = "head", password: Password | None = None, schema: str | None = None
) -> None:
    """Bring the database up to a revision. Runs alone; waits a minute at most for another runner.

    The tables are in this schema, which is made if it is not there; without one, in the first of the search_path.
    """
    await connected(url, lambda connection: command.upgrade(_config(connection, schema), revision), password)


def upgrade_sql(before: str | None, schema: str | None = None) -> str:
    """What `upgrade` would run in a database at this revision, for psql."""
    written = StringIO()
    config = _config(None, schema)
    config.output_buffer = written
    command.upgrade(config, f"{before or 'base'}:head", sql=True)
    # deploy/postgres/roles.sql may have made this table, and Alembic cannot look whether it did.
    return written.getvalue().replace(f"CREATE TABLE {VERSION_TABLE}", f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE}")


async def downgrade(url: str, revision: str, schema: str | None = None) -> None:
    """Take the database back to a revision. Data in what is dropped is lost. `schema` as in `upgrade`."""
    await connected(url, lambda connection: command.downgrade(_config(connection, schema), revision))


def _config(connection: Connection | None = None, schema: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(revisions.SCRIPTS))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config
