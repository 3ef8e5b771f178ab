"""The pool of an engine: what it counts, what it replaces, and what its defaults are."""

import asyncio

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.util import greenlet_spawn

from reelsync.models import SessionFactory, User, create_engine, get_pool_stats, get_session
from reelsync.models.pooler import Pooler
from tests.support.orm_rows import count
from tests.support.roles import TEST_SCHEMA, psql


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


@pytest.mark.parametrize("pooler", ["none"], indirect=True)
async def test_a_connection_whose_server_has_said_goodbye_is_found_at_any_moment(
    engine: AsyncEngine, sessions: SessionFactory, operator_url: str
) -> None:
    """Between its last message and the end of the connection too, which the event loop reads in two turns."""
    for turns in range(5):
        async with get_session(sessions) as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
        # This blocks the event loop, so that it finds both at once.
        ended = psql(make_url(operator_url), "--command", f"SELECT pg_terminate_backend({pid}, 10000)")
        assert ended.strip() == "t"
        for _ in range(turns):
            await asyncio.sleep(0)
        async with get_session(sessions) as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) != pid
    assert get_pool_stats(engine).invalid == 5


async def test_a_connection_of_the_pool_is_asked_once_whether_it_lives(engine: AsyncEngine) -> None:
    asked: list[str] = []
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        driver.add_query_logger(lambda logged: asked.append(logged.query))
    asked.clear()
    async with engine.connect():
        await asyncio.sleep(0)  # asyncpg tells its loggers in the next turn of the event loop
        assert asked == ["SELECT"]


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
    assert await count(watch, User) == kept
    await engine.dispose()
