"""deploy/postgres/roles.sql: the rights that it gives, on tables of whatever age and owner, and no others."""

import json
import re
import secrets

import pytest
from sqlalchemy import URL, make_url

from reelsync.migrations.runner import upgrade
from reelsync.models import Base
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.roles import (
    MIGRATE_ROLE,
    READ_ROLE,
    READABLE,
    ROLES_SQL,
    RUN_ROLE,
    SCHEMA,
    SHOWN,
    TEST_SCHEMA,
    Roles,
    create_roles,
    psql,
    roles_of,
)

WRITTEN = ("INSERT", "SELECT", "UPDATE")
ERASED = ("DELETE", *WRITTEN)
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
        "video_states": ERASED,
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
    WHERE c.relnamespace = :'schema'::regnamespace
    UNION ALL
    SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants WHERE table_schema = :'schema'
    UNION ALL
    SELECT coalesce(r.rolname, 'PUBLIC'), c.relname || '.' || t.attname, a.privilege_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN aclexplode(t.attacl) a
    LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = :'schema'::regnamespace
) found WHERE grantee <> current_user AND grantee <> :'migrate'
"""
_ELSEWHERE = """
SELECT json_agg(json_build_array(kind, coalesce(rolname, 'PUBLIC'), privilege_type)) FROM (
    SELECT 'database' AS kind, (aclexplode(datacl)).* FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'schema', (aclexplode(nspacl)).* FROM pg_namespace WHERE nspname = :'schema'
    UNION ALL SELECT 'default on ' || defaclobjtype::text, (aclexplode(defaclacl)).* FROM pg_default_acl
) acl LEFT JOIN pg_roles r ON r.oid = grantee
WHERE coalesce(rolname, 'PUBLIC') IN ('PUBLIC', :'run', :'read', :'migrate')
"""


def ask(url: URL, query: str) -> list[list[str]]:
    names = {"migrate": MIGRATE_ROLE, "run": RUN_ROLE, "read": READ_ROLE, "schema": SCHEMA}
    for name, called in names.items():
        query = query.replace(f":'{name}'", f"'{called}'")
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
    await upgrade(made.migrate_url, schema=TEST_SCHEMA)
    made_later = ("model_usage", "erasure_lock", "users", "user_profiles", "video_states")
    expected = RIGHTS[RUN_ROLE] | dict.fromkeys(made_later, WRITTEN)
    assert rights_on_tables(admin) == {RUN_ROLE: {name: of for name, of in expected.items() if "." not in name}}


def test_every_table_is_named_in_the_file() -> None:
    named = set(re.findall(r"^ +\('(\w+)', '", ROLES_SQL.read_text(), re.MULTILINE))
    assert named == {*Base.metadata.tables, "alembic_version"} == {name for name in RIGHTS[RUN_ROLE] if "." not in name}


def test_the_role_that_migrates_owns_everything_and_the_others_nothing(settled: URL) -> None:
    owners = ask(
        settled,
        "SELECT json_agg(DISTINCT rolname) FROM pg_class c JOIN pg_roles r ON r.oid = relowner "
        "WHERE relnamespace = :'schema'::regnamespace",
    )
    assert owners == [MIGRATE_ROLE]
    attributes = ask(
        settled,
        "SELECT json_agg(rolname) FROM pg_roles WHERE rolname IN (:'migrate', :'run', :'read') AND "
        "(rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)",
    )
    assert attributes == []


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
