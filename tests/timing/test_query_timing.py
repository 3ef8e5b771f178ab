"""Every statement is told of once, however it ends; so is what SQLAlchemy has no event for."""

import asyncio
import re
import subprocess
import sys
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, event, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.timing.query_names import QUERIES, Query
from reelsync.consumer.timing.query_timing import attach_query_timing
from reelsync.testing.servers.child_process import free_port
from tests.support.processes import ROOT
from tests.support.running import eventually
from tests.timing.listening import Heard, listening

NAMED = {"query_name": "offsets.read"}
SLEEP = text("SELECT pg_sleep(30)")
_SLEEPING = text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND wait_event = 'PgSleep'")
NUMBERS = Table("numbers", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))


async def run(connection: AsyncConnection, sql: str, name: str = "offsets.read") -> Any:
    return await connection.execute(text(sql), execution_options={"query_name": name})


async def test_statements_by_name_and_a_commit(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.begin() as connection:
            await run(connection, "SELECT generate_series(1, 3)")
            await connection.exec_driver_sql("SELECT 1", execution_options={"query_name": "offsets.list"})
        assert heard.names == ["pool.wait", "connect", "offsets.read", "offsets.list", "commit"]
        read = heard.of("offsets.read")[0]
        assert (read.rows, read.statement, read.error_type) == (3, "SELECT generate_series(1, 3)", "")
        assert all(timing.seconds > 0 for timing in heard)


async def test_what_has_no_declared_name_is_other(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard), engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await run(connection, "SELECT 2", "a name that nobody declared")
        assert heard.names[-2:] == ["other", "other"]


def test_any_engine_and_names_of_a_programs_own() -> None:
    engine, heard = create_engine("sqlite://"), Heard()
    attach_query_timing(engine, heard.append, names=QUERIES | {"carts.read": Query("SELECT", "carts")})
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"), execution_options={"query_name": "carts.read"})
        connection.commit()
    assert heard.names[:2] == ["pool.wait", "connect"]
    assert heard.names.count("carts.read") == heard.names.count("commit") == 1
    with pytest.raises(ValueError, match="timed already"):
        attach_query_timing(engine, print)


async def test_an_error_has_its_sqlstate_class(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        for sql in ("SELECT 1/0", "SELECT nothing", "SELECT pg_terminate_backend(pg_backend_pid())"):
            async with engine.connect() as connection:
                with pytest.raises(DBAPIError):
                    await run(connection, sql)
        assert [timing.error_type for timing in heard.of("offsets.read")] == ["22", "42", "08"]
        assert [timing.sqlstate for timing in heard.of("offsets.read")] == ["22012", "42703", "08003"]
        assert all("nothing" not in (timing.error or "") for timing in heard)


async def test_a_cancelled_statement_is_counted_as_such(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.connect() as connection:
            await run(connection, "SELECT 1")
            sleeping = asyncio.create_task(connection.execute(SLEEP, execution_options=NAMED))
            await _until_sleeping(engine)
            sleeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sleeping
        assert heard.counts["offsets.read", "cancelled"] == 1
        assert heard.counts["offsets.read", ""] == 1


async def test_savepoints_are_counted_once_each(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.begin() as connection:
            # A name of the connection's is not that of its savepoints.
            await connection.execution_options(query_name="offsets.list")
            async with connection.begin_nested():
                await run(connection, "SELECT 1")
            with pytest.raises(DBAPIError):
                async with connection.begin_nested():
                    await run(connection, "SELECT 1/0")
        assert heard.names[2:] == [
            "savepoint",
            "offsets.read",
            "savepoint.release",
            "savepoint",
            "offsets.read",
            "savepoint.rollback",
            "commit",
        ]


async def test_each_page_of_an_insert_with_many_values_is_counted_once(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.begin() as connection:
            await connection.run_sync(NUMBERS.metadata.create_all)
            heard.clear()
            rows = [{"id": n, "n": n} for n in range(2_500)]
            named = {"query_name": "dead_letters.park", "insertmanyvalues_page_size": 1_000}
            inserted = await connection.execute(insert(NUMBERS).returning(NUMBERS.c.id), rows, execution_options=named)
            assert len(inserted.all()) == 2_500
        assert [timing.rows for timing in heard.of("dead_letters.park")] == [1_000, 1_000, 500]
        assert heard.names == ["dead_letters.park"] * 3 + ["commit"]


async def test_an_error_behind_the_answer_is_no_second_statement(operator_url: str) -> None:
    """Whoever listens after us may raise; SQLAlchemy then tells of an error in the same context."""
    async with listening(operator_url) as (engine, heard):

        def raises(*_: Any) -> None:
            raise RuntimeError

        event.listen(engine.sync_engine, "after_cursor_execute", raises)
        async with engine.connect() as connection:
            with pytest.raises(RuntimeError):
                await run(connection, "SELECT 1")
        assert heard.names == ["pool.wait", "connect", "offsets.read", "rollback"]


async def test_only_transactions_that_the_server_knows_of_are_ended(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.begin():
            pass
        assert heard.names == ["pool.wait", "connect"]
        async with engine.connect() as connection:
            await run(connection, "SELECT 1")
        assert heard.names[2:] == ["pool.wait", "offsets.read", "rollback"]
        async with engine.connect() as connection:
            await run(connection, "SELECT 1")
            await connection.commit()
        assert heard.names[5:] == ["pool.wait", "offsets.read", "commit"]


async def test_a_commit_that_fails_is_counted(operator_url: str) -> None:
    async with listening(operator_url) as (engine, heard):
        async with engine.connect() as connection:
            await run(connection, "CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            await run(connection, "INSERT INTO t VALUES (1), (1)")
            with pytest.raises(DBAPIError):
                await connection.commit()
        assert heard.counts["commit", "23"] == 1
        assert heard.of("commit")[0].sqlstate == "23505"


async def test_a_refused_connection_is_counted(operator_url: str) -> None:
    nobody = f"postgresql+asyncpg://somebody:secret@127.0.0.1:{free_port()}/nowhere"
    wrong_password = operator_url.replace("://reelsync:", "://reelsync:wrong")
    for url, error_type, error in (
        (nobody, "connection", ConnectionRefusedError),
        (wrong_password, "28", Exception),
    ):
        async with listening(url) as (engine, heard):
            with pytest.raises(error):
                await engine.connect()
            assert heard.counts == {("pool.wait", ""): 1, ("connect", error_type): 1}
            assert "secret" not in str(heard)


async def test_a_pool_without_a_free_connection_is_counted(operator_url: str) -> None:
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    async with listening(operator_url, **options) as (engine, heard):
        async with engine.connect():
            with pytest.raises(PoolTimeoutError):
                await engine.connect()
        assert heard.counts["pool.wait", "timeout"] == 1


async def test_the_wait_is_the_pools_and_not_the_new_connections(operator_url: str) -> None:
    """And the pool that `dispose` makes is timed too."""
    async with listening(operator_url) as (engine, heard):
        for _ in range(2):
            heard.clear()
            async with engine.connect() as connection:
                await run(connection, "SELECT 1")
            assert heard.names == ["pool.wait", "connect", "offsets.read", "rollback"]
            assert heard.of("connect")[0].seconds > heard.of("pool.wait")[0].seconds
            await engine.dispose()


async def _until_sleeping(engine: Any) -> None:
    async with engine.connect() as other:

        async def sleeps() -> bool:
            await other.rollback()  # What a transaction sees of the activity stays as it was first seen.
            return bool(await other.scalar(_SLEEPING))

        await eventually(sleeps, "somebody sleeps", seconds=10)


async def test_the_snippets_of_the_page_work(operator_url: str) -> None:
    """In a process that has imported nothing of the consumer before, and then not much of it."""
    page = (ROOT / "docs" / "query-timing.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    script = f"""
import asyncio, sys
from sqlalchemy import text
from prometheus_client import generate_latest
from reelsync.models import create_engine, create_session_factory, get_session, queries
{first}
heavy = {{"aiohttp", "aiokafka", "pydantic", "structlog"}} & set(sys.modules)
assert not heavy, heavy

async def use() -> None:
    async with get_session(create_session_factory(engine)) as session:
        await session.scalars(queries.active_users())
        await session.execute(text("SELECT 1"), execution_options={{"query_name": "carts.read"}})
    await engine.dispose()

asyncio.run(use())
print(generate_latest(REGISTRY).decode())
""".replace("{{", "{").replace("}}", "}")
    given = f"from reelsync.models import create_engine\nengine = create_engine({operator_url!r})\n"
    for code, name in ((first, "other"), (f"{first}\n{second}".replace(first.splitlines()[-1], "", 1), "carts.read")):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", given + script.replace(first, code)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f'query_name="{name}"' in done.stdout
        assert 'query_name="queries.active_users"' in done.stdout
