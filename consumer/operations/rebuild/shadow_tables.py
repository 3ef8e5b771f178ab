"""The shadow: a second set of the tables in a schema of its own, into which a rebuild replays the log.

The tables are made from the models, with the same names of constraints, so the statements of a batch work on them if
the connection's search_path is this schema alone. All of them are unlogged: a crash or a failover of the server empties
them together with the table `replay`, whose one row says what they are a replay of.
"""

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.errors import ReelsyncError
from reelsync.models import Base, ConsumerOffset, DeadLetter, ModelUsage, User, UserProfile, Video, VideoState
from reelsync.models.consumer_state import ERASURE_LOCK, LETTER_LOCKS, ErasedUser
from reelsync.models.upsert import table_of

SCHEMA = "reelsync_rebuild"
TABLES = tuple(table_of(model) for model in (User, UserProfile, Video, ModelUsage, VideoState))
"""In the order in which they refer to one another. The last is replaced only if states are kept."""
_ALL = (*TABLES, table_of(ConsumerOffset), table_of(DeadLetter), table_of(ErasedUser), ERASURE_LOCK, LETTER_LOCKS)

_DIFFERING = "name text, id uuid, version bigint DEFAULT 0, PRIMARY KEY (name, id, version)"
"""The keys of rows that differ: ids, and for states of videos their versions too."""

_EXISTS = text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema)")
_IS_MARKED = text(f"SELECT to_regclass('{SCHEMA}.replay') IS NOT NULL")
_MARK = text(f"INSERT INTO {SCHEMA}.replay (what) VALUES (:what)")
_MARKED = text(f"SELECT what FROM {SCHEMA}.replay")
_MAY_CREATE = text("SELECT has_database_privilege(current_database(), 'CREATE')")
_LIVE_SCHEMA = text(
    """
    SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('users')
    """
)
_NAMED = {"query_name": "rebuild.shadow"}


async def live_schema(connection: AsyncConnection) -> str:
    """The schema of the tables in use, quoted."""
    found = await connection.scalar(_LIVE_SCHEMA, execution_options=_NAMED)
    return connection.dialect.identifier_preparer.quote(str(found))


async def prepare(connection: AsyncConnection, what: dict[str, object], *, restart: bool) -> bool:
    """Make the shadow tables, on a connection whose search_path is the shadow. Whether there are some to resume.

    `what` identifies the replay. Tables of another replay are dropped, and so are tables that a crash has emptied.

    Raises:
        ReelsyncError: the role may not create the schema.
    """
    wanted = orjson.dumps(what, option=orjson.OPT_SORT_KEYS).decode()
    if not restart and await _replayed(connection) == wanted:
        return True
    if not await connection.scalar(_EXISTS, {"schema": SCHEMA}, execution_options=_NAMED):
        if not await connection.scalar(_MAY_CREATE, execution_options=_NAMED):
            raise ReelsyncError(
                f"there is no schema {SCHEMA}, and this role may not create one: run deploy/postgres/roles.sql, and "
                "rebuild with the role that migrates"
            )
        await _run(connection, f"CREATE SCHEMA {SCHEMA}")
    await _drop_tables(connection)
    await connection.run_sync(_create_tables)
    for table in reversed(_ALL):
        await _run(connection, f"ALTER TABLE {SCHEMA}.{table.name} SET UNLOGGED")
    await _run(connection, f"CREATE UNLOGGED TABLE {SCHEMA}.differing ({_DIFFERING})")
    await _run(connection, f"CREATE UNLOGGED TABLE {SCHEMA}.replay (what text)")
    await connection.execute(_MARK, {"what": wanted}, execution_options=_NAMED)
    return False


async def discard(connection: AsyncConnection) -> None:
    """Drop the shadow tables, and the schema if the role may create it again."""
    if not await connection.scalar(_EXISTS, {"schema": SCHEMA}, execution_options=_NAMED):
        return
    await _drop_tables(connection)
    if await connection.scalar(_MAY_CREATE, execution_options=_NAMED):
        await _run(connection, f"DROP SCHEMA {SCHEMA}")


async def analyze(connection: AsyncConnection) -> None:
    """Update the planner's statistics of the shadow tables."""
    for table in TABLES:
        await _run(connection, f"ANALYZE {SCHEMA}.{table.name}")


async def _replayed(connection: AsyncConnection) -> str | None:
    """What the shadow tables are a replay of; None if there are none, or if they were emptied."""
    if not await connection.scalar(_IS_MARKED, execution_options=_NAMED):
        return None
    marked: str | None = await connection.scalar(_MARKED, execution_options=_NAMED)
    return marked


def _create_tables(connection: Connection) -> None:
    Base.metadata.create_all(
        connection.execution_options(query_name="rebuild.shadow"), tables=list(_ALL), checkfirst=False
    )


async def _drop_tables(connection: AsyncConnection) -> None:
    names = ", ".join(f"{SCHEMA}.{name}" for name in ("replay", "differing", *(table.name for table in _ALL)))
    await _run(connection, f"DROP TABLE IF EXISTS {names} CASCADE")


async def _run(connection: AsyncConnection, statement: str) -> None:
    await connection.execute(text(statement), execution_options=_NAMED)
