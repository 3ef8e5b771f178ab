"""Sessions roll back and give their connection back, whatever ends them."""

import asyncio
import re
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from reelsync.models import (
    SessionFactory,
    User,
    create_engine,
    create_scoped_session,
    get_pool_stats,
    get_session,
)
from reelsync.models.pooler import Pooler
from tests.support.running import eventually

SLEEP = text("SELECT pg_sleep(600)")


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
