"""PgBouncer before the database: what works, and what each setting that does not fit says."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from sqlalchemy import Pool, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.preflight import check_database, check_session
from reelsync.consumer.settings import DatabaseSettings, Settings
from reelsync.models import create_engine
from reelsync.models.pooler import Pooler
from tests.support.pgbouncer import MODES, TRACKS_STATEMENTS, PgBouncer, pgbouncer
from tests.support.processes import run_command
from tests.support.roles import roles_of
from tests.support.secrets_kept import assert_failed_check, assert_kept, assert_one_error

IGNORES = {
    "ignore_startup_parameters": "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,"
    "client_connection_check_interval,search_path"
}
ADVISORY_LOCKS = text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Pooler:
    found: Pooler = request.param
    return found


@pytest.fixture
def urls(operator_url: str) -> tuple[str, str]:
    roles = roles_of(operator_url, database=str(make_url(operator_url).database))
    return roles.run_url, roles.migrate_url


@pytest.fixture
def pooler(mode: str, urls: tuple[str, str]) -> Iterator[PgBouncer]:
    with pgbouncer(mode, *urls) as started:
        yield started


def through(bouncer: PgBouncer, settings: Settings, url: str, **database: object) -> Settings:
    changed = {"url": bouncer.before(url), **database}
    return Settings.model_validate(settings.model_dump() | {"database": settings.database.model_dump() | changed})


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_refused_parameter_is_said_at_once_with_its_fix(
    pooler: PgBouncer, settings: Settings, database: str, command: str
) -> None:
    secrets = [str(make_url(database).password)]
    said = "set REELSYNC_DATABASE__POOLER to session or transaction"
    pooled = through(pooler, settings, database)
    if command == "check":
        assert_failed_check(run_command(pooled, "check", "--json"), "database and schema", said, secrets)
    else:
        assert_one_error(run_command(pooled, "run", REELSYNC_LOG__LEVEL="WARNING"), said, secrets)


def test_limits_that_a_pooler_ignores_are_said(mode: str, settings: Settings, database: str) -> None:
    said = {"session": "the time limits do not reach the database", "transaction": "set REELSYNC_DATABASE__POOLER"}
    with pgbouncer(mode, database, settings=IGNORES) as pooler:
        done = run_command(through(pooler, settings, database), "check", "--json")
    assert_failed_check(done, "database and schema", said[mode], [])


def test_check_names_the_pooler_that_it_finds(pooler: PgBouncer, mode: str, settings: Settings, database: str) -> None:
    done = run_command(through(pooler, settings, database, pooler=mode), "check")
    assert done.returncode == 0, done.stdout
    assert f"behind a pooler in {mode} mode" in done.stdout
    assert_kept(done, [str(make_url(database).password)])


def test_the_setting_for_sessions_does_not_do_for_transactions(settings: Settings, database: str) -> None:
    with pgbouncer("transaction", database) as pooler:
        done = run_command(through(pooler, settings, database, pooler="session"), "check", "--json")
    assert_failed_check(done, "database and schema", "set REELSYNC_DATABASE__POOLER=transaction", [])


@pytest.mark.parametrize("command", ["migrate", "rebuild"])
async def test_what_needs_a_session_asks_for_the_databases_own_address(
    settings: Settings, urls: tuple[str, str], operator: AsyncConnection, command: str
) -> None:
    """Whether the settings tell of the pooler or not. No lock is left to a session that nobody has."""
    with pgbouncer("transaction", *urls) as pooler:
        for told in ("none", "transaction"):
            done = run_command(through(pooler, settings, urls[1], pooler=told), command)
            assert_one_error(done, f"{command} needs a session", [])
    assert await operator.scalar(ADVISORY_LOCKS) == 0


def test_a_session_is_enough_for_a_migration(settings: Settings, urls: tuple[str, str]) -> None:
    with pgbouncer("session", *urls) as pooler:
        done = run_command(through(pooler, settings, urls[1], pooler="session"), "migrate")
    assert done.returncode == 0, done.stderr


async def test_two_connections_tell_the_pooler_and_the_state_of_the_database(database: str) -> None:
    opened: list[object] = []

    def note(connection: object, _record: object) -> None:
        opened.append(connection)

    settings = DatabaseSettings.model_validate({"url": database})
    event.listen(Pool, "connect", note)
    try:
        assert await check_database(settings) == "none"
        await check_session(settings, "migrate")
    finally:
        event.remove(Pool, "connect", note)
    assert len(opened) == 2 + 2


async def test_time_limits_hold_in_every_transaction(pooler: PgBouncer, mode: Pooler, database: str) -> None:
    """Each transaction begins in the message that sets them: no round trip is added."""
    engine = create_engine(pooler.before(database), pooler=mode, statement_timeout=0.2, pool_size=1)
    sent: list[str] = []

    async def sleep() -> None:
        async with engine.begin() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            driver.add_query_logger(lambda record: sent.append(record.query))
            await connection.execute(text("SELECT pg_sleep(60)"))

    try:
        for _ in range(3):
            with pytest.raises(DBAPIError) as ended:
                await sleep()
            assert getattr(ended.value.orig, "sqlstate", None) == "57014"
    finally:
        await engine.dispose()
    first, *_ = sent
    assert first.startswith("BEGIN; SET LOCAL statement_timeout = 200; ")


async def test_statements_of_a_session_do_for_transactions_only_where_the_pooler_prepares_them(database: str) -> None:
    """The negative control: what an older pooler does to statements that are prepared once."""
    prepares = {"max_prepared_statements": "100"} if TRACKS_STATEMENTS else None
    with pgbouncer("transaction", database, settings=prepares) as pooler:
        engine = create_engine(pooler.before(database), pooler="session", pool_size=1)
        other_engine = create_engine(pooler.before(database), pooler="transaction")
        try:
            await select_two(engine)
            async with other_engine.begin() as holder:
                await holder.execute(text("SELECT 1"))
                with nullcontext() if TRACKS_STATEMENTS else pytest.raises(DBAPIError) as failed:
                    await select_two(engine)
            assert TRACKS_STATEMENTS or getattr(failed.value.orig, "sqlstate", None) == "26000"
        finally:
            await engine.dispose()
            await other_engine.dispose()


async def select_two(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("SELECT 2"))
