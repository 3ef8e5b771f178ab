"""The migrated schema is the models' schema, and every revision goes both ways."""

import asyncio
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.settings import Settings
from reelsync.migrations.compatibility import current_revision
from reelsync.migrations.revisions import head_revision
from reelsync.migrations.runner import downgrade, upgrade
from reelsync.models import Base
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.processes import run_command
from tests.support.roles import SCHEMA, TEST_SCHEMA, apply_roles, psql
from tests.support.running import eventually

CATALOGUE = f"""
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
           a.attgenerated::text, COALESCE(pg_get_expr(d.adbin, d.adrelid), '')
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid
      LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
     WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relkind = 'r'
       AND a.attnum > 0 AND c.relname <> 'alembic_version'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
      FROM pg_constraint WHERE connamespace = '{SCHEMA}'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '', ''
      FROM pg_indexes WHERE schemaname = '{SCHEMA}' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT 'options', relname, array_to_string(reloptions, ','), '', '', '', ''
      FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
     ORDER BY 1, 2, 3
"""


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    postgres.create_database(name)
    if TEST_SCHEMA:
        psql(make_url(postgres.url(name)), "--command", f"CREATE SCHEMA {TEST_SCHEMA}")
    yield postgres.url(name)
    postgres.drop_database(name)


def settings_of(url: str) -> Settings:
    return Settings.model_validate({"database": {"url": url, "schema": TEST_SCHEMA}})


async def catalogue(url: str) -> list[tuple[str, ...]]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        rows = [tuple(row) for row in await connection.execute(text(CATALOGUE))]
    await engine.dispose()
    return rows


async def test_migrations_make_the_schema_of_the_models(empty: str, operator_url: str) -> None:
    engine = create_async_engine(empty, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    assert await catalogue(operator_url) == await catalogue(empty)


async def test_autogenerate_finds_nothing_to_do(operator_url: str) -> None:
    engine = create_async_engine(operator_url, poolclass=NullPool)
    async with engine.connect() as connection:
        changes = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), Base.metadata)
        )
    await engine.dispose()
    assert changes == []


async def test_what_migrate_prints_makes_the_same_schema(empty: str, operator_url: str, tmp_path: Path) -> None:
    apply_roles(make_url(empty))
    settings = settings_of(empty)
    printed = run_command(settings, "migrate", "--sql")
    assert printed.returncode == 0, printed.stderr
    assert await current_revision(empty) is None, "it only prints"
    file = tmp_path / "migration.sql"
    file.write_text(printed.stdout)
    psql(make_url(empty), "--file", str(file))
    assert await catalogue(empty) == await catalogue(operator_url)
    nothing = run_command(settings, "migrate", "--sql")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "Nothing to do" in nothing.stderr


async def test_upgrade_downgrade_upgrade_ends_where_it_began(empty: str) -> None:
    await upgrade(empty, schema=TEST_SCHEMA)
    upgraded = await catalogue(empty)
    await downgrade(empty, "base", schema=TEST_SCHEMA)
    assert await catalogue(empty) == []
    await upgrade(empty, schema=TEST_SCHEMA)
    assert await catalogue(empty) == upgraded
    assert await current_revision(empty) == head_revision()


async def test_runners_at_the_same_time_wait_for_each_other(empty: str) -> None:
    settings = settings_of(empty)
    done = await asyncio.gather(*(asyncio.to_thread(run_command, settings, "migrate", "--json") for _ in range(3)))
    assert [(command.returncode, command.stderr) for command in done] == [(0, "")] * 3
    assert await current_revision(empty) == head_revision()


async def test_an_interrupted_making_of_indexes_is_begun_again(empty: str) -> None:
    """Indexes are made outside the transaction, so a revision may find its columns, and an index that is not valid."""
    await upgrade(empty, schema=TEST_SCHEMA)
    upgraded = await catalogue(empty)
    engine = create_async_engine(empty, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '20260105_0001'"))
        await connection.execute(text("DROP INDEX ix_dead_letters_latest"))
        invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_dead_letters_closed'::regclass"
        await connection.execute(text(invalid))
    await upgrade(empty, schema=TEST_SCHEMA)
    async with engine.connect() as connection:
        assert not await connection.scalar(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
    await engine.dispose()
    assert await catalogue(empty) == upgraded


async def test_a_runner_waits_for_the_lock_of_another(empty: str) -> None:
    engine = create_async_engine(empty, poolclass=NullPool)
    async with engine.connect() as holder:
        await holder.execute(text("SELECT pg_advisory_lock(hashtext('reelsync.migrations'))"))
        waiting = asyncio.create_task(upgrade(empty, schema=TEST_SCHEMA))

        async def waits() -> bool:
            await holder.commit()  # What a transaction sees of the activity stays as it was first seen.
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE :asked"
            return bool(await holder.scalar(text(query), {"asked": "SELECT pg_sleep%"}))

        await eventually(waits, "the runner waits")
        assert not waiting.done()
        assert await holder.scalar(text("SELECT to_regclass('videos')")) is None
        await holder.execute(text("SELECT pg_advisory_unlock(hashtext('reelsync.migrations'))"))
        await holder.commit()  # Indexes are made concurrently, which waits for whoever is in a transaction.
        await waiting
    await engine.dispose()
    assert await current_revision(empty) == head_revision()


async def test_whoever_holds_a_table_is_named_with_it(empty: str) -> None:
    await upgrade(empty, schema=TEST_SCHEMA)
    settings = settings_of(empty)
    engine = create_async_engine(
        empty, poolclass=NullPool, connect_args={"server_settings": {"application_name": "a\x1breport"}}
    )
    async with engine.connect() as holder:
        await holder.execute(text("UPDATE alembic_version SET version_num = '20260105_0001'"))
        await holder.commit()
        await holder.execute(text("SELECT count(*) FROM dead_letters"))
        pid = await holder.scalar(text("SELECT pg_backend_pid()"))
        refused = await asyncio.to_thread(run_command, settings, "migrate")
    await engine.dispose()
    said = refused.stderr
    assert refused.returncode == 1, said
    assert re.search(
        rf"sessions have locked: dead_letters by process {pid} \(\w+, a.*report, idle in transaction, for \d+ s\)",
        said,
    )
    assert f"pg_terminate_backend({pid})" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["CREATE TABLE users (name text)"], "a table of that name exists, and it is not reelsync's"),
        (
            ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('ae1027a6acf')"],
            "alembic_version is at revision ae1027a6acf, and has no table of reelsync: it is another program's",
        ),
        (
            ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('a'), ('b')"],
            "alembic_version has 2 rows, and reelsync's has one: it is another program's",
        ),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "check"])
async def test_a_database_of_another_program_is_refused_and_left_alone(
    empty: str, statements: list[str], said: str, command: str
) -> None:
    engine = create_async_engine(empty, poolclass=NullPool)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()
    before = await catalogue(empty)
    settings = settings_of(empty)
    done = await asyncio.to_thread(run_command, settings, command)
    assert done.returncode == 1
    # `check` cannot know of a table what `migrate` does.
    assert (
        said if command == "migrate" or "alembic" in said else "run `reelsync migrate`"
    ) in done.stderr + done.stdout
    assert "give reelsync a database of its own" in done.stderr + done.stdout or command == "check"
    assert "Traceback" not in done.stderr
    assert await catalogue(empty) == before
