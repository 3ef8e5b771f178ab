"""Alembic's environment: one migration at a time, and none that waits for a lock for long.

The runner hands over a connection. Run by Alembic's own command, it makes one from REELSYNC_DATABASE__URL.
"""

import asyncio
import json
import os
import time
from typing import Any

from alembic import context
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema, SetTableComment

from reelsync.migrations.compatibility import VERSION_TABLE
from reelsync.migrations.connection import connected, use_schema
from reelsync.migrations.locks import OTHER_MIGRATION, OTHER_MIGRATION_OVER, other_migration_goes_on, tables_are_locked
from reelsync.models import Base

_OTHER_MIGRATION_SECONDS = 60
_LOOK_SECONDS = 0.2
_LOCK_WAIT = "5s"
_LOCK_NOT_AVAILABLE = "55P03"
_SESSION = (f"SET lock_timeout = '{_LOCK_WAIT}'", "SET statement_timeout = '15min'")
_SCHEMA = "REELSYNC_DATABASE__SCHEMA"
_EXISTS = text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema)")


def migrate(connection: Connection) -> None:
    """Run the migrations asked for, alone: a second runner waits for the first, then finds nothing left to do."""
    _wait_for_other_migrations(connection)
    try:
        for statement in _SESSION:
            connection.execute(text(statement))
        schema = context.config.attributes.get("schema") or os.environ.get(_SCHEMA) or None
        if schema and not connection.scalar(_EXISTS, {"schema": schema}):
            connection.execute(CreateSchema(schema))
        use_schema(connection, schema, only_this_transaction=False)
        connection.commit()
        context.configure(connection=connection, **_OPTIONS)
        with context.begin_transaction():
            context.run_migrations()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        raise tables_are_locked(connection, _LOCK_WAIT) from error
    finally:
        connection.rollback()
        connection.execute(OTHER_MIGRATION_OVER)
        connection.commit()


def _state_compatibility(script: ScriptDirectory, context: MigrationContext, heads: set[str]) -> None:
    """Write down which code may use the schema, in the transaction that changed it."""
    stated = None
    for head in heads:
        module = script.get_revision(head).module
        stated = json.dumps({"revision": head, "compatible_from": getattr(module, "compatible_from", head)})
    context.execute(SetTableComment(Table(VERSION_TABLE, MetaData(), comment=stated)))


def write_sql() -> None:
    """Write what `migrate` would run, for psql."""
    schema = context.config.attributes.get("schema") or os.environ.get(_SCHEMA) or None
    context.configure(dialect_name="postgresql", literal_binds=True, **_OPTIONS)
    write = context.get_context().impl.static_output
    write("\\set ON_ERROR_STOP on")
    for statement in ("SELECT pg_advisory_lock(hashtext('reelsync.migrations'))", *_SESSION):
        write(f"{statement};")
    if schema:
        # Without the right to create one, IF NOT EXISTS would fail for a schema that is there.
        exists = f"SELECT FROM pg_namespace WHERE nspname = '{schema}'"
        write(f"SELECT 'CREATE SCHEMA \"{schema}\"' WHERE NOT EXISTS ({exists}) \\gexec")
        write(f'SET search_path = "{schema}";')
    with context.begin_transaction():
        context.run_migrations()


def _wait_for_other_migrations(connection: Connection) -> None:
    """Take the lock by asking again and again.

    Who waits inside a statement holds a snapshot, and CREATE INDEX CONCURRENTLY of the other runner waits for that.

    Raises:
        LockedError: another migration does not end.
    """
    deadline = time.monotonic() + _OTHER_MIGRATION_SECONDS
    while not connection.scalar(OTHER_MIGRATION):
        connection.commit()
        if time.monotonic() > deadline:
            raise other_migration_goes_on(connection, _OTHER_MIGRATION_SECONDS)
        connection.execute(text(f"SELECT pg_sleep({_LOOK_SECONDS})"))
        connection.commit()
    connection.commit()


_OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "transaction_per_migration": True,
    "compare_type": True,
    "compare_server_default": True,
    "on_version_apply": lambda ctx, heads, **_: _state_compatibility(context.script, ctx, heads),
}
given = context.config.attributes.get("connection")
if context.is_offline_mode():
    write_sql()
elif given is not None:
    migrate(given)
else:
    asyncio.run(connected(os.environ["REELSYNC_DATABASE__URL"], migrate))
