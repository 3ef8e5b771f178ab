"""Sessions roll back and give their connection back, whatever ends them."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import greenlet_spawn

from reelsync.models import (
    SessionFactory,
    User,
    create_engine,
    create_scoped_session,
    create_session_factory,
    get_pool_stats,
    get_session,
)
from reelsync.models.pooler import Pooler
from tests.support.pgbouncer import pgbouncer
from tests.support.roles import TEST_SCHEMA
from tests.support.running import eventually

SLEEP = text("SELECT pg_sleep(600)")


@pytest.fixture
def address(pooler: Pooler, database: str) -> Iterator[str]:
    """The database, or PgBouncer before it."""
    if pooler == "none":
        yield database
        return
    with pgbouncer(pooler, database) as started:
        yield started.before(database)


@pytest.fixture
async def engine(address: str, pooler: Pooler) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(
        address,
        pooler=pooler,
        pool_size=2,
        max_overflow=1,
        pool_timeout=0.2,
        statement_timeout=600,
        client_check_interval=0.1,
        application_name="under test",
    )
    yield engine
    await engine.dispose()


@pytest.fixture
def sessions(engine: AsyncEngine) -> SessionFactory:
    return create_session_factory(engine)


@pytest.fixture
async def watch(database: str) -> AsyncIterator[AsyncSession]:
    """Another session, to see from outside."""
    engine = create_engine(database, search_path=TEST_SCHEMA)
    async with get_session(create_session_factory(engine)) as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session
    await engine.dispose()


def a_user() -> User:
    return User(id=uuid4(), version=1)


async def users(watch: AsyncSession) -> int | None:
    return await watch.scalar(select(func.count()).select_from(User))


async def backends(watch: AsyncSession, state: str) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'under test' AND state = :state"
    return (await watch.execute(text(query), {"state": state})).scalar_one()


async def test_nothing_is_committed_but_by_commit(sessions: SessionFactory, watch: AsyncSession) -> None:
    async with get_session(sessions) as session:
        session.add(a_user())
        await session.flush()
    assert await users(watch) == 0
    async with get_session(sessions) as session:
        user = a_user()
        session.add(user)
        await session.commit()
        assert user.version == 1, "readable without an await after the commit"
    assert await users(watch) == 1


async def test_nothing_is_flushed_by_a_query(sessions: SessionFactory) -> None:
    async with get_session(sessions) as session:
        session.add(a_user())
        assert await session.scalar(select(func.count()).select_from(User)) == 0


async def test_an_error_rolls_back_and_closes(
    engine: AsyncEngine, sessions: SessionFactory, watch: AsyncSession
) -> None:

    async def work() -> None:
        async with get_session(sessions) as session:
            session.add(a_user())
            await session.flush()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await work()
    assert await users(watch) == 0
    assert get_pool_stats(engine).checked_out == 0
    assert await backends(watch, "idle in transaction") == 0


async def test_a_refused_statement_rolls_back_and_closes(engine: AsyncEngine, sessions: SessionFactory) -> None:
    with pytest.raises(DBAPIError):
        async with get_session(sessions) as session:
            await session.execute(text("SELECT 1 / 0"))
    assert get_pool_stats(engine).checked_out == 0
    async with get_session(sessions) as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_the_error_of_the_block_survives_a_lost_connection(
    engine: AsyncEngine, sessions: SessionFactory, watch: AsyncSession
) -> None:
    """Rolling back is impossible then, and must not hide why the block ended."""

    async def work() -> None:
        async with get_session(sessions) as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            await watch.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as ended:
        await work()
    # Which error of SQLAlchemy's it is depends on how much of the connection's end was read when the block ended.
    (note,) = ended.value.__notes__
    assert re.fullmatch(r"closing its session failed too: (DBAPI|Interface|Internal)Error", note)
    assert get_pool_stats(engine).checked_out == 0
    async with get_session(sessions) as session:
        assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("cancellations", [1, 2, 5])
async def test_a_cancelled_session_gives_back_a_clean_connection(
    engine: AsyncEngine, sessions: SessionFactory, watch: AsyncSession, cancellations: int
) -> None:
    """A row is written, a statement runs, and the task is cancelled, and again while it cleans up."""
    seen: list[str] = []

    async def work() -> None:
        try:
            async with get_session(sessions) as session:
                session.add(a_user())
                await session.flush()
                await session.execute(SLEEP)
        finally:
            seen.append(f"{get_pool_stats(engine).checked_out} in use after the block")

    task = asyncio.create_task(work())
    await eventually(lambda: _running(watch), "the statement runs")
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["0 in use after the block"]
    await eventually(lambda: _all_idle(watch), "the server was told to stop, or noticed")
    assert await users(watch) == 0
    async with get_session(sessions) as session:
        assert await session.scalar(text("SELECT txid_current_if_assigned()")) is None, "no old transaction"


async def _running(watch: AsyncSession) -> bool:
    return await backends(watch, "active") == 1


async def _all_idle(watch: AsyncSession) -> bool:
    return await backends(watch, "active") + await backends(watch, "idle in transaction") == 0


async def test_many_cancelled_at_random_leave_nothing_behind(
    engine: AsyncEngine, sessions: SessionFactory, watch: AsyncSession
) -> None:
    """Cancelled at each step of a session's life in turn: connecting, beginning, in a statement, closing."""

    async def work() -> None:
        async with get_session(sessions) as session:
            session.add(a_user())
            await session.flush()
            await session.execute(text("SELECT pg_sleep(0.01)"))

    for steps in range(60):
        task = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert get_pool_stats(engine).checked_out == 0, steps

    await eventually(lambda: _all_idle(watch), "no statement goes on")
    assert await users(watch) == 0


async def test_waiting_for_a_connection_can_be_cancelled(engine: AsyncEngine, sessions: SessionFactory) -> None:
    held = [await engine.connect() for _ in range(3)]

    async def work() -> None:
        async with get_session(sessions) as session:
            await session.execute(text("SELECT 1"))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert get_pool_stats(engine).checked_out == 3
    for connection in held:
        await connection.close()
    assert get_pool_stats(engine).checked_out == 0


async def test_pool_stats(engine: AsyncEngine) -> None:
    stats = get_pool_stats(engine)
    assert (stats.size, stats.checked_in, stats.checked_out, stats.overflow, stats.invalid) == (2, 0, 0, 0, 0)
    connections = [await engine.connect() for _ in range(3)]
    stats = get_pool_stats(engine)
    assert (stats.checked_in, stats.checked_out, stats.overflow) == (0, 3, 1)
    with pytest.raises(PoolTimeoutError):
        await engine.connect()
    await connections[0].invalidate()
    assert get_pool_stats(engine).invalid == 1
    for connection in connections:
        await connection.close()
    stats = get_pool_stats(engine)
    assert (stats.checked_in, stats.checked_out, stats.overflow, stats.invalid) == (2, 0, 0, 1)
    await engine.dispose()
    stats = get_pool_stats(engine)
    assert (stats.checked_in, stats.invalid) == (0, 1), "the count goes on with the new pool"


async def test_a_connection_that_died_in_the_pool_is_found_and_counted(
    engine: AsyncEngine, sessions: SessionFactory, watch: AsyncSession, pooler: Pooler
) -> None:
    """In transaction mode it is the pooler's connection that dies, and the pooler lends another."""
    async with get_session(sessions) as session:
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
    await watch.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
    async with get_session(sessions) as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) != pid
    assert get_pool_stats(engine).invalid == (0 if pooler == "transaction" else 1)


async def test_stats_of_another_engine_are_refused(database: str) -> None:
    other = create_async_engine(database)
    with pytest.raises(ValueError, match="create_engine"):
        get_pool_stats(other)
    await other.dispose()


async def test_the_defaults_of_an_engine(database: str) -> None:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    pool = engine.pool
    assert (pool.size(), pool._max_overflow, pool._timeout, pool._recycle) == (20, 30, 30.0, 3600)
    assert (pool._pre_ping, pool._reset_on_return.name, engine.sync_engine.hide_parameters) == (
        True,
        "reset_rollback",
        True,
    )
    await engine.dispose()


@pytest.mark.parametrize(("reset", "kept"), [("rollback", 0), ("commit", 1)])
async def test_a_connection_returned_in_the_middle_is_rolled_back(
    database: str, watch: AsyncSession, reset: str, kept: int
) -> None:
    """What "commit" would do: a raw connection given back without a word keeps half of what was meant."""
    engine = create_engine(database, search_path=TEST_SCHEMA, pool_reset_on_return=reset)

    def leave_half_way() -> None:
        connection = engine.sync_engine.raw_connection()
        connection.cursor().execute("INSERT INTO users (id, version) VALUES (gen_random_uuid(), 1)")
        connection.close()

    await greenlet_spawn(leave_half_way)
    assert await users(watch) == kept
    await engine.dispose()


async def test_parameters_do_not_show_in_errors(sessions: SessionFactory) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with get_session(sessions) as session:
            await session.execute(text("SELECT CAST(CAST(:given AS text) AS int)"), {"given": "hunter2"})
    assert "parameters hidden" in str(refused.value)


async def test_a_scoped_session_is_the_tasks_own(engine: AsyncEngine, sessions: SessionFactory) -> None:
    scoped = create_scoped_session(sessions)

    async def work() -> AsyncSession:
        session = scoped()
        assert scoped() is session
        assert await scoped.scalar(text("SELECT 1")) == 1
        await asyncio.sleep(0)
        assert scoped() is session
        await scoped.remove()
        assert scoped() is not session
        await scoped.remove()
        return session

    first, second = await asyncio.gather(work(), work())
    assert first is not second
    assert get_pool_stats(engine).checked_out == 0


async def test_a_scoped_session_rolls_back_when_removed(sessions: SessionFactory, watch: AsyncSession) -> None:
    scoped = create_scoped_session(sessions)
    scoped.add(a_user())
    await scoped.flush()
    await scoped.remove()
    assert await users(watch) == 0


async def test_a_statement_that_a_migration_made_invalid_says_to_run_the_block_again(
    sessions: SessionFactory, operator_url: str, pooler: Pooler
) -> None:
    """Behind a pooler in transaction mode nothing is prepared, so nothing can become invalid."""

    async def read() -> list[str]:
        async with get_session(sessions) as session:
            return list(await session.scalars(select(User.username)))

    await read()
    operator = create_engine(operator_url)
    async with operator.begin() as connection:
        await connection.execute(text("ALTER TABLE users ALTER COLUMN username TYPE text"))
    await operator.dispose()
    if pooler != "transaction":
        with pytest.raises(DBAPIError) as failed:
            await read()
        assert "run the block again" in failed.value.__notes__[0]
    assert await read() == []
