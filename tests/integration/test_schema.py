"""All tables in a schema of the operator's choice, made by `migrate` or by the SQL that it prints."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from reelsync.consumer.settings import Settings
from reelsync.testing.servers import DatabaseServer
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.roles import apply_roles, create_roles, psql, roles_of
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

SCHEMA = "user"  # a word that must be quoted
TABLES = "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'videos' OR tablename = 'alembic_version'"


@pytest.fixture
def elsewhere(postgres: DatabaseServer) -> Iterator[str]:
    """An empty database, with a schema for the tables and rights in it."""
    name = f"elsewhere_{secrets.token_hex(4)}"
    postgres.create_database(name)
    create_roles(postgres.url(), database=name, schema=SCHEMA)
    yield postgres.url(name)
    postgres.drop_database(name)


def settings_in(settings: Settings, url: str) -> Settings:
    options = {"url": SecretStr(url), "schema_name": SCHEMA}
    return settings.model_copy(update={"database": settings.database.model_copy(update=options)})


@pytest.mark.parametrize("pooler", ["none", "transaction"])
async def test_the_tables_are_made_filled_and_rebuilt_in_the_schema_of_the_settings(
    settings: Settings, elsewhere: str, pooler: str, tmp_path: Path
) -> None:
    """With a pooler the schema is set in each transaction; and there, `migrate --sql` prints what a person runs."""
    roles = roles_of(elsewhere, database=str(make_url(elsewhere).database))
    migrating, running = settings_in(settings, roles.migrate_url), settings_in(settings, roles.run_url)
    running = running.model_copy(update={"database": running.database.model_copy(update={"pooler": pooler})})
    assert run_command(running, "check").returncode == 1
    if pooler == "none":
        done = run_command(migrating, "migrate")
    else:
        done = run_command(migrating, "migrate", "--sql")
        (tmp_path / "migration.sql").write_text(done.stdout)
        psql(make_url(roles.migrate_url), "--file", str(tmp_path / "migration.sql"))
    assert done.returncode == 0, done.stderr
    apply_roles(make_url(elsewhere), SCHEMA)
    assert psql(make_url(elsewhere), "--command", TABLES).split() == [SCHEMA]
    await publish(
        settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(1, 31)]
    )
    async with consuming(running):
        await until_applied(running)
    assert len(await rows_of(running, "videos")) == 30
    psql(make_url(elsewhere), "--command", f'DELETE FROM "{SCHEMA}".videos')
    for command in ("check", "lag", "dlq list", "offsets show"):
        done = run_command(running, *command.split())
        assert done.returncode == 0, done.stderr
    done = run_command(migrating, "rebuild")
    assert done.returncode == 0, done.stderr
    assert len(await rows_of(running, "videos")) == 30
