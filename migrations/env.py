"""Alembic's environment: one migration at a time, and none that waits for a lock for long.

The runner hands over a connection. Run by Alembic's own command, it makes one from REELSYNC_DATABASE__URL.
"""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text

from migrations.compatibility import state_on_apply
from models import Base
from models.engine import create_single_use_engine

_OTHER_MIGRATION_WAIT = "60s"
_LOCK_WAIT = "5s"
_STATEMENT_LIMIT = "15min"


def migrate(connection: Connection) -> None:
    """Run the migrations asked for, alone: a second runner waits for the first, then finds nothing left to do."""
    connection.execute(text(f"SET lock_timeout = '{_OTHER_MIGRATION_WAIT}'"))
    connection.execute(text("SELECT pg_advisory_lock(hashtext('reelsync.migrations'))"))
    connection.commit()
    try:
        connection.execute(text(f"SET lock_timeout = '{_LOCK_WAIT}'"))
        connection.execute(text(f"SET statement_timeout = '{_STATEMENT_LIMIT}'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_type=True,
            compare_server_default=True,
            on_version_apply=lambda ctx, heads, **_: state_on_apply(context.script, ctx, heads),
        )
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(hashtext('reelsync.migrations'))"))
        connection.commit()


async def migrate_from_environment() -> None:
    """Connect to REELSYNC_DATABASE__URL and migrate."""
    engine = create_single_use_engine(os.environ["REELSYNC_DATABASE__URL"])
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_from_environment())
