"""The roles of deploy/postgres/roles.sql: what each may do, what it may not, and that nothing was added unseen."""

import json
import re
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from reelsync.consumer.settings import Settings
from reelsync.migrations.runner import downgrade, upgrade
from reelsync.models import Base
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, usage, user, video
from tests.support.processes import run_command
from tests.support.roles import MIGRATE_ROLE, READ_ROLE, ROLES_SQL, RUN_ROLE, Roles, create_roles, psql, roles_of
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.secrets_kept import assert_one_error

WRITTEN = ("INSERT", "SELECT", "UPDATE")
ERASED = ("DELETE", *WRITTEN)
READABLE = ("model_usage", "user_profiles", "users", "videos")
SHOWN = {
    "consumer_offsets": ("consumer_group", "topic", "partition", "next_offset", "read_from"),
    "dead_letters": ("consumer_group", "topic", "partition", "offset", "record_timestamp", "reason", "state"),
}
"""The columns that a role that reads needs to wait for what it published."""
RIGHTS = {
    RUN_ROLE: {
        "alembic_version": ("SELECT",),
        "consumer_offsets": WRITTEN,
        "dead_letters": WRITTEN,
        "erased_users": WRITTEN,
        "erasure_lock": ("SELECT", "UPDATE"),
        "letter_locks": WRITTEN,
        "model_usage": ("INSERT", "SELECT"),
        "model_usage.user_id": ("UPDATE",),
        "user_profiles": ERASED,
        "users": ERASED,
        "videos": WRITTEN,
    },
    READ_ROLE: dict.fromkeys(
        (*READABLE, *(f"{table}.{column}" for table, columns in SHOWN.items() for column in columns)), ("SELECT",)
    ),
}
_RELATIONS = """
SELECT json_agg(json_build_array(grantee, relation, privilege)) FROM (
    SELECT coalesce(r.rolname, 'PUBLIC') AS grantee, c.relname AS relation, a.privilege_type AS privilege
    FROM pg_class c CROSS JOIN aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants WHERE table_schema = 'public'
    UNION ALL
    SELECT coalesce(r.rolname, 'PUBLIC'), c.relname || '.' || t.attname, a.privilege_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN aclexplode(t.attacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = 'public'::regnamespace
) found WHERE grantee <> current_user AND grantee <> :'migrate'
"""
_ELSEWHERE = """
SELECT json_agg(json_build_array(kind, coalesce(rolname, 'PUBLIC'), privilege_type)) FROM (
    SELECT 'database' AS kind, (aclexplode(datacl)).* FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'schema', (aclexplode(nspacl)).* FROM pg_namespace WHERE nspname = 'public'
    UNION ALL SELECT 'default on ' || defaclobjtype::text, (aclexplode(defaclacl)).* FROM pg_default_acl
) acl LEFT JOIN pg_roles r ON r.oid = grantee
WHERE coalesce(rolname, 'PUBLIC') IN ('PUBLIC', :'run', :'read', :'migrate')
"""


@pytest.fixture
def admin(postgres: EmbeddedPostgres) -> Iterator[URL]:
    """The administrator, in a database where nothing was done yet."""
    name = f"roles_{secrets.token_hex(6)}"
    postgres.create_database(name)
    yield make_url(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def settled(postgres: EmbeddedPostgres) -> Iterator[URL]:
    """The administrator, in a database whose roles were made, that one of them migrated, and that nobody changes."""
    name = "roles_settled"
    postgres.create_database(name)
    made = create_roles(postgres.url(), database=name)
    migrated = run_command(None, "migrate", "--json", REELSYNC_DATABASE__URL=made.migrate_url)
    assert migrated.returncode == 0, migrated.stderr
    create_roles(postgres.url(), database=name)
    yield make_url(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture
def roles(settled: URL) -> Roles:
    return roles_of(settled.render_as_string(hide_password=False), database=str(settled.database))


@pytest.fixture
def database(settled: URL, postgres: EmbeddedPostgres) -> Iterator[str]:
    """What the commands and consumers of these tests connect to: a copy of that database, as the role that runs."""
    name = f"roles_{secrets.token_hex(6)}"
    postgres.create_database(name, settled.database)
    yield roles_of(postgres.url(), database=name).run_url
    postgres.drop_database(name)


def ask(url: URL, query: str) -> list[list[str]]:
    names = {"migrate": MIGRATE_ROLE, "run": RUN_ROLE, "read": READ_ROLE}
    for name, role in names.items():
        query = query.replace(f":'{name}'", f"'{role}'")
    return json.loads(psql(url, "--command", query).strip() or "[]")


def rights_on_tables(url: URL) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for grantee, relation, privilege in ask(url, _RELATIONS):
        found.setdefault(grantee, {}).setdefault(relation, set()).add(privilege)
    return {
        grantee: {relation: tuple(sorted(privileges)) for relation, privileges in of_grantee.items()}
        for grantee, of_grantee in found.items()
    }


def test_the_rights_are_these_and_no_others(settled: URL, roles: Roles) -> None:
    psql(make_url(roles.run_url), "--command", "GRANT SELECT ON dead_letters TO PUBLIC")  # a warning, and no effect
    assert rights_on_tables(settled) == RIGHTS
    assert {tuple(row) for row in ask(settled, _ELSEWHERE)} == {
        ("database", MIGRATE_ROLE, "CONNECT"),
        ("database", RUN_ROLE, "CONNECT"),
        ("database", READ_ROLE, "CONNECT"),
        ("schema", MIGRATE_ROLE, "USAGE"),
        ("schema", MIGRATE_ROLE, "CREATE"),
        ("schema", RUN_ROLE, "USAGE"),
        ("schema", READ_ROLE, "USAGE"),
        *(("default on r", RUN_ROLE, privilege) for privilege in WRITTEN),
    }


async def test_the_rights_reach_tables_that_are_made_later(admin: URL) -> None:
    """Between a migration and the second run of the file, the consumer works, but may not erase people yet."""
    made = create_roles(admin.render_as_string(hide_password=False), database=str(admin.database))
    await upgrade(made.migrate_url)
    made_later = ("model_usage", "erasure_lock", "users", "user_profiles")
    expected = RIGHTS[RUN_ROLE] | dict.fromkeys(made_later, WRITTEN)
    assert rights_on_tables(admin) == {RUN_ROLE: {name: of for name, of in expected.items() if "." not in name}}


def test_every_table_is_named_in_the_file() -> None:
    named = set(re.findall(r"^ +\('(\w+)', '", ROLES_SQL.read_text(), re.MULTILINE))
    assert named == {*Base.metadata.tables, "alembic_version"} == {name for name in RIGHTS[RUN_ROLE] if "." not in name}


def test_the_role_that_migrates_owns_everything_and_the_others_nothing(settled: URL) -> None:
    owners = ask(
        settled,
        "SELECT json_agg(DISTINCT rolname) FROM pg_class c JOIN pg_roles r ON r.oid = relowner "
        "WHERE relnamespace = 'public'::regnamespace",
    )
    assert owners == [MIGRATE_ROLE]
    attributes = ask(
        settled,
        "SELECT json_agg(rolname) FROM pg_roles WHERE rolname IN (:'migrate', :'run', :'read') AND "
        "(rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)",
    )
    assert attributes == []


async def test_the_role_that_migrates_can_go_down_and_up_again(database: str) -> None:
    migrate_url = roles_of(database, database=str(make_url(database).database)).migrate_url
    await downgrade(migrate_url, "base")
    await upgrade(migrate_url)


async def test_a_consumer_runs_in_the_role_that_runs(settings: Settings) -> None:
    """Every statement: upserts, facts, an erasure, dead letters, names that clash and their redrive."""
    hasty = settings.model_copy(
        update={"dead_letters": settings.dead_letters.model_copy(update={"redrive_min_seconds": 0.05})}
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
    assert len(await rows_of(settings, "videos")) == 9
    assert len(await rows_of(settings, "model_usage")) == 1


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


def test_tables_that_somebody_else_made_change_hands(admin: URL, postgres: EmbeddedPostgres) -> None:
    name = f"{admin.database}_copy"
    postgres.create_database(name, "migrated")
    try:
        create_roles(postgres.url(), database=name)
        assert rights_on_tables(admin.set(database=name)) == RIGHTS
        psql(make_url(roles_of(postgres.url(), database=name).migrate_url), "--command", "DROP TABLE model_usage")
    finally:
        postgres.drop_database(name)


def test_an_owner_who_may_create_roles_needs_no_superuser(admin: URL, postgres: EmbeddedPostgres) -> None:
    suffix = secrets.token_hex(4)
    owner, password = f"owner_{suffix}", secrets.token_hex(8)
    psql(admin, "--command", f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{password}'")
    psql(admin, "--command", f"CREATE DATABASE {owner} OWNER {owner}")
    as_owner = admin.set(username=owner, password=password, database=owner)
    names = [f"--set={kind}_role={kind}_{suffix}" for kind in ("migrate", "run")]
    for _ in range(2):
        psql(as_owner, *names, "--file", str(ROLES_SQL))
    psql(as_owner, "--command", f"SET ROLE migrate_{suffix}", "--command", "CREATE TABLE later (id int)")
    grants = psql(as_owner, "--command", f"SELECT has_table_privilege('run_{suffix}', 'later', 'INSERT')")
    assert grants.strip() == "t"
    postgres.drop_database(owner)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"run_role": "superuser"}, "may do more than SQL grants can limit"),
        ({"run_role": MIGRATE_ROLE}, "which owns the tables"),
        ({"run_role": RUN_ROLE, "read_role": MIGRATE_ROLE}, "which owns the tables"),
    ],
)
def test_roles_that_would_undo_the_separation_are_refused(settled: URL, names: dict[str, str], said: str) -> None:
    names = {name: str(settled.username) if role == "superuser" else role for name, role in names.items()}
    with pytest.raises(AssertionError, match=said):
        psql(settled, *(f"--set={name}={role}" for name, role in names.items()), "--file", str(ROLES_SQL))
