"""Sessions for services that read the tables, or write rows of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session, async_sessionmaker

from .visibility import INCLUDE_DELETED, INCLUDE_PLACEHOLDERS, VisibleRowsSession

_TABLE_CHANGED = AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError

SessionFactory = async_sessionmaker[AsyncSession]


def create_session_factory(engine: AsyncEngine) -> SessionFactory:
    """A function that makes sessions on `engine`. One factory for each engine is enough.

    Objects keep their values after a commit, because reading them again would need an `await`. Only `flush` and
    `commit` flush. Deleted rows and placeholders are hidden (`visibility.py`).
    """
    return async_sessionmaker(engine, sync_session_class=VisibleRowsSession, expire_on_commit=False, autoflush=False)


@asynccontextmanager
async def get_session(
    sessions: SessionFactory, *, include_deleted: bool = False, include_placeholders: bool = False
) -> AsyncIterator[AsyncSession]:
    """A session for the length of the block. It commits only what the block commits.

    Whatever ends the block, its end, an error, a cancellation or several, what was not committed is rolled back and the
    connection is back in the pool before the next line runs.

    Args:
        sessions: From `create_session_factory`.
        include_deleted: Whether deleted rows show.
        include_placeholders: Whether rows show whose own events have not arrived.
    """
    included = {INCLUDE_DELETED: include_deleted, INCLUDE_PLACEHOLDERS: include_placeholders}
    failure: BaseException | None = None
    try:
        # Its exit closes, which rolls back, in a task that cancellations do not reach; it waits for that task.
        async with sessions(execution_options=included) as session:
            try:
                yield session
            except BaseException as error:
                failure = error
                if isinstance(error, DBAPIError) and isinstance(error.orig, _TABLE_CHANGED):
                    error.add_note(
                        "A migration changed a table that this connection had read: run the block again, in a new "
                        "session. Its statements are prepared anew then."
                    )
                raise
    except Exception as error:
        if failure is None or error is failure:
            raise
        # The connection is lost, so there is nothing to roll back: say why the block ended, not that.
        failure.add_note(f"closing its session failed too: {type(error).__name__}")
        raise failure from failure.__cause__


def create_scoped_session(sessions: SessionFactory) -> async_scoped_session[AsyncSession]:
    """One session for each asyncio task, which gets the same one everywhere.

    A task that used it must `await scoped.remove()` at its end, which closes the session.
    """
    return async_scoped_session(sessions, scopefunc=asyncio.current_task)
