"""The roles of deploy/postgres/roles.sql at work: what each can do, and what it cannot."""

import json
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from reelsync.consumer.settings import Settings
from reelsync.migrations.runner import downgrade, upgrade
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, usage, user, video
from tests.support.processes import run_command
from tests.support.roles import (
    MIGRATE_ROLE,
    READABLE,
    RUN_ROLE,
    SHOWN,
    TEST_SCHEMA,
    Roles,
    create_roles,
    psql,
    roles_of,
)
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.secrets_kept import assert_one_error


@pytest.fixture
def database(settled: URL, postgres: EmbeddedPostgres) -> Iterator[str]:
    """What the commands and consumers of these tests connect to: a copy of that database, as the role that runs."""
    name = f"roles_{secrets.token_hex(6)}"
    postgres.create_database(name, settled.database)
    yield roles_of(postgres.url(), database=name).run_url
    postgres.drop_database(name)


async def test_the_role_that_migrates_can_go_down_and_up_again(database: str) -> None:
    migrate_url = roles_of(database, database=str(make_url(database).database)).migrate_url
    await downgrade(migrate_url, "base", schema=TEST_SCHEMA)
    await upgrade(migrate_url, schema=TEST_SCHEMA)


async def test_a_consumer_runs_in_the_role_that_runs(settings: Settings) -> None:
    """Every statement: upserts, facts, states, erasures, dead letters, names that clash and their redrive."""
    hasty = settings.model_copy(
        update={
            "dead_letters": settings.dead_letters.model_copy(update={"redrive_min_seconds": 0.05}),
            "batch": settings.batch.model_copy(update={"video_states": True}),
        }
    )
    users, videos, facts = (topic_of(settings, aggregate) for aggregate in ("user", "video", "model_usage"))
    await publish(settings, users, [(an_id(n).encode(), user("created", n)) for n in range(3)])
    await publish(settings, videos, [(an_id(n).encode(), video("created", n)) for n in range(9)])
    await publish(settings, videos, [(an_id(1).encode(), b"poison"), (an_id(8).encode(), None)])
    await publish(settings, facts, [(an_id(1).encode(), usage(1))])
    clash = [user("created", n, username="the_same", email=f"{n}@example.com") for n in (11, 12)]
    await publish(settings, users, [(an_id(n).encode(), value) for n, value in zip((11, 12), clash, strict=True)])
    async with consuming(hasty):
        await until_applied(settings)

        async def clashed() -> bool:
            letters = await rows_of(settings, "dead_letters")
            return {letter["reason"] for letter in letters} == {"not_json", "conflict"} and any(
                letter["attempts"] != 1 for letter in letters
            )

        await eventually(clashed, "poison is parked, and the conflict was tried again")
        assert len(await rows_of(settings, "video_states")) == 8
        await publish(settings, videos, [(an_id(7).encode(), None)])
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 9
    assert len(await rows_of(settings, "video_states")) == 7
    assert len(await rows_of(settings, "model_usage")) == 1


async def test_where_no_states_are_kept_videos_are_erased_without_the_right_to_delete_states(
    settings: Settings, operator_url: str
) -> None:
    """As after a migration, until the file was run again."""
    psql(make_url(operator_url), "--command", f"REVOKE DELETE ON video_states FROM {RUN_ROLE}")
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in (1, 2)])
    await publish(settings, topic, [(an_id(1).encode(), None), (an_id(2).encode(), None)])
    async with consuming(settings):
        await until_applied(settings)
    assert [row["title"] for row in await rows_of(settings, "videos")] == [None, None]


async def test_every_command_but_migrate_works_in_the_role_that_runs(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(an_id(1).encode(), b"poison")])
    async with consuming(settings):
        await until_applied(settings)
    letter = json.loads(run_command(settings, "dlq", "list", "--json").stdout)[0]
    place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
    reset = f"offsets reset {topic} {letter['partition']} --to earliest --force"
    for command in ("check", "lag", "offsets show", "verify", f"trace {an_id(1)}", f"dlq show {place}", reset):
        done = run_command(settings, *command.split(), "--json")
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def test_migrating_in_the_role_that_runs_says_what_it_lacks(admin: URL) -> None:
    made = create_roles(admin.render_as_string(hide_password=False), database=str(admin.database))
    refused = run_command(None, "migrate", REELSYNC_DATABASE__URL=made.run_url)
    assert_one_error(refused, "the role lacks a permission: run deploy/postgres/roles.sql for it (SQLSTATE 42501", [])
    early = run_command(None, "offsets", "show", REELSYNC_DATABASE__URL=made.run_url)
    assert_one_error(early, "the schema does not exist: run `reelsync migrate` (SQLSTATE 42P01", [])


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
        "DROP TABLE videos",
        "TRUNCATE videos CASCADE",
        "DELETE FROM videos",
        "DELETE FROM consumer_offsets",
        "DELETE FROM dead_letters",
        "UPDATE model_usage SET cost_usd = 0",
        "ALTER TABLE videos ADD COLUMN mine int",
        "CREATE INDEX ON videos (title)",
        "CREATE TRIGGER t BEFORE UPDATE ON videos FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "UPDATE alembic_version SET version_num = 'none'",
        "INSERT INTO alembic_version VALUES ('mine')",
        f"GRANT {MIGRATE_ROLE} TO CURRENT_USER",
        f"SET ROLE {MIGRATE_ROLE}",
        "SELECT rolpassword FROM pg_authid",
        "COPY videos TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER SYSTEM SET log_statement = 'none'",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
    ],
)
def test_the_role_that_runs_may_not(roles: Roles, statement: str) -> None:
    with pytest.raises(
        AssertionError, match=r"permission denied|must be owner|must have admin option|must be superuser"
    ):
        psql(make_url(roles.run_url), "--command", statement)


def test_the_role_that_reads_sees_no_payload_and_writes_nothing(roles: Roles) -> None:
    reader = make_url(roles.read_url)
    for table in (*READABLE, *SHOWN):
        assert psql(reader, "--command", f"SELECT count(*) FROM {table}").strip() == "0"
        with pytest.raises(AssertionError, match="permission denied"):
            psql(reader, "--command", f"DELETE FROM {table}")
    for column in ("key", "value", "headers", "corrected_value", "detail", "audit"):
        with pytest.raises(AssertionError, match="permission denied"):
            psql(reader, "--command", f"SELECT {column} FROM dead_letters")


async def test_locks_of_a_role_that_reads_stop_no_batch(settings: Settings, operator_url: str) -> None:
    """Poison is parked and a user erased while it holds every lock that it can take: advisory ones, and its tables'."""
    name = str(make_url(operator_url).database)
    reader = create_async_engine(roles_of(operator_url, database=name).read_url)
    held = ["dead_letters.erasure", "redrive", "letters", "relay", "migrations", "rebuild"]
    topic = topic_of(settings, "user")
    async with reader.connect() as stranger:
        for what in held:
            keys = f"hashtext('reelsync.{what}')"
            await stranger.execute(text(f"SELECT pg_advisory_lock({keys})"))
            group = {"consumer_group": settings.kafka.group_id}
            await stranger.execute(text(f"SELECT pg_advisory_lock({keys}, hashtext(:consumer_group))"), group)
        await stranger.execute(text(f"LOCK TABLE {', '.join(READABLE)} IN ACCESS SHARE MODE"))
        for mode in ("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE ROW EXCLUSIVE"):
            savepoint = await stranger.begin_nested()
            with pytest.raises(DBAPIError, match="permission denied"):
                await stranger.execute(text(f"LOCK TABLE erasure_lock IN {mode} MODE"))
            await savepoint.rollback()
        key = an_id(1001).encode()
        await publish(settings, topic, [(key, user("created")), (key, b"not json"), (key, None)])
        async with consuming(settings):
            await until_applied(settings)
        assert await stranger.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) >= 2 * len(held)
    await reader.dispose()
    (letter,) = await rows_of(settings, "dead_letters")
    assert (letter["reason"], letter["value"]) == ("not_json", None)
    assert [row["username"] for row in await rows_of(settings, "users")] == [None]
