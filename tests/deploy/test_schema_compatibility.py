"""Releases on one database: the one before goes on after an expansion, and not after a contraction."""

import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.preflight import check_schema
from reelsync.consumer.settings import DatabaseSettings, Settings
from reelsync.migrations import revisions, runner
from reelsync.migrations.compatibility import current_revision
from reelsync.migrations.revisions import head_revision, known_revisions
from reelsync.migrations.runner import downgrade, upgrade
from reelsync.models.engine import create_single_use_engine
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

OURS = head_revision()
EXPANDED = "20990101_0001"
CONTRACTED = "20990101_0002"
REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down_revision!r}
branch_labels = None
depends_on = None
{stated}


def upgrade():
    op.{upgrade}


def downgrade():
    op.{downgrade}
"""


class Releases:
    """This release, and later ones: what `migrations` is in each."""

    def __init__(self, later: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._later = later
        self._patch = monkeypatch
        shutil.copytree(revisions.SCRIPTS, later, ignore=shutil.ignore_patterns("__pycache__"))

    def add(self, revision: str, follows: str, compatible_from: str | None, upgrade: str, downgrade: str) -> None:
        stated = "" if compatible_from is None else f"compatible_from = {compatible_from!r}"
        source = REVISION.format(
            revision=revision, down_revision=follows, stated=stated, upgrade=upgrade, downgrade=downgrade
        )
        (self._later / "versions" / f"{revision}.py").write_text(source)

    def later(self) -> None:
        self._patch.setattr(revisions, "SCRIPTS", self._later)

    def ours(self) -> None:
        self._patch.undo()


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    made = Releases(tmp_path / "migrations", monkeypatch)
    column = "sa.Column('mood', sa.String(20))"
    made.add(EXPANDED, OURS, OURS, f"add_column('videos', {column})", "drop_column('videos', 'mood')")
    return made


@pytest.fixture
def migrating(operator_url: str) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": operator_url})


@pytest.fixture
def empty(postgres: EmbeddedPostgres) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


async def execute(url: str, statement: str) -> None:
    engine = create_single_use_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def test_the_release_before_goes_on_consuming_after_an_expansion(
    releases: Releases, operator_url: str, settings: Settings
) -> None:
    topic = topic_of(settings, "video")
    releases.later()
    await upgrade(operator_url)
    assert await check_schema(settings.database) == EXPANDED
    releases.ours()
    assert await current_revision(operator_url) == EXPANDED
    assert await check_schema(settings.database) == EXPANDED
    await Consumer(settings).check()
    await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(20)])
    async with consuming(settings):
        await until_applied(settings)
    rows = await rows_of(settings, "videos")
    assert [row["mood"] for row in rows if row["version"]] == [None] * 20


async def test_the_release_before_does_not_start_after_a_contraction(
    releases: Releases, migrating: DatabaseSettings
) -> None:
    column = "sa.Column('title', sa.String(200))"
    releases.add(CONTRACTED, EXPANDED, EXPANDED, "drop_column('videos', 'title')", f"add_column('videos', {column})")
    releases.later()
    await upgrade(migrating.url.get_secret_value())
    assert await check_schema(migrating) == CONTRACTED
    releases.ours()
    with pytest.raises(
        ReelsyncError, match=rf"at revision {CONTRACTED}, this version needs {OURS}: deploy the version"
    ):
        await check_schema(migrating)


async def test_a_revision_that_states_nothing_is_for_its_own_release(
    releases: Releases, migrating: DatabaseSettings
) -> None:
    releases.add(EXPANDED, OURS, None, "execute('SELECT 1')", "execute('SELECT 1')")
    releases.later()
    await upgrade(migrating.url.get_secret_value())
    releases.ours()
    with pytest.raises(ReelsyncError, match="deploy the version"):
        await check_schema(migrating)


async def test_a_new_release_does_not_start_on_an_old_schema(releases: Releases, migrating: DatabaseSettings) -> None:
    assert await check_schema(migrating) == OURS
    releases.later()
    with pytest.raises(ReelsyncError, match=rf"at revision {OURS}, this version needs {EXPANDED}: run `reelsync migr"):
        await check_schema(migrating)


async def test_an_empty_database_is_to_be_migrated(empty: str) -> None:
    with pytest.raises(ReelsyncError, match=r"at revision none, this version needs .*: run `reelsync migrate`"):
        await check_schema(DatabaseSettings.model_validate({"url": empty}))


async def test_what_is_stated_goes_back_with_the_schema(releases: Releases, migrating: DatabaseSettings) -> None:
    url = migrating.url.get_secret_value()
    releases.later()
    await upgrade(url)
    await downgrade(url, OURS)
    releases.ours()
    assert await check_schema(migrating) == OURS
    await downgrade(url, "base")
    with pytest.raises(ReelsyncError, match="at revision none"):
        await check_schema(migrating)


async def test_a_migration_that_fails_states_nothing(releases: Releases, migrating: DatabaseSettings) -> None:
    """The statement and the schema change in one transaction."""
    url = migrating.url.get_secret_value()
    releases.add(CONTRACTED, EXPANDED, CONTRACTED, "execute('SELECT 1 / 0')", "execute('SELECT 1')")
    releases.later()
    with pytest.raises(Exception, match="division by zero"):
        await upgrade(url)
    assert await current_revision(url) == EXPANDED
    releases.ours()
    assert await check_schema(migrating) == EXPANDED


@pytest.mark.parametrize(
    "comment",
    [
        "NULL",
        "''",
        "'tables of the video product'",
        "'[1]'",
        f'\'{{"revision": "{EXPANDED}"}}\'',
        f'\'{{"revision": "another", "compatible_from": "{OURS}"}}\'',
        f'\'{{"revision": "{EXPANDED}", "compatible_from": ["{OURS}"]}}\'',
    ],
)
async def test_without_a_statement_that_fits_a_newer_schema_is_refused(
    releases: Releases, migrating: DatabaseSettings, comment: str
) -> None:
    """Somebody wrote another comment, a dump was restored without comments, or another tool migrated."""
    url = migrating.url.get_secret_value()
    releases.later()
    await upgrade(url)
    await execute(url, f"COMMENT ON TABLE alembic_version IS {comment}")
    assert await check_schema(migrating) == EXPANDED
    releases.ours()
    with pytest.raises(ReelsyncError, match="deploy the version"):
        await check_schema(migrating)


async def test_migrate_of_the_release_before_has_nothing_to_do_or_refuses(
    releases: Releases, operator_url: str
) -> None:
    """A deployment that is rolled back runs its migration first."""
    releases.later()
    await upgrade(operator_url)
    releases.ours()
    settings = Settings.model_validate({"database": {"url": operator_url}})
    done = run_command(settings, "migrate", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert f'"after": "{EXPANDED}"' in done.stdout
    assert "is newer and may be used" in run_command(settings, "migrate").stderr
    await execute(operator_url, "COMMENT ON TABLE alembic_version IS NULL")
    refused = run_command(settings, "migrate")
    assert refused.returncode == 1
    assert "deploy the version of reelsync that migrated it" in " ".join(refused.stderr.split())
    assert await current_revision(operator_url) == EXPANDED


def test_every_revision_states_an_oldest_one_and_none_goes_back_behind_its_predecessor() -> None:
    newest_first = list(ScriptDirectory.from_config(runner._config()).walk_revisions())
    order = [script.revision for script in reversed(newest_first)]
    assert (head_revision(), known_revisions()) == (order[-1], frozenset(order))
    stated = [order.index(script.module.compatible_from) for script in reversed(newest_first)]
    assert stated == sorted(stated)
    assert all(oldest <= position for position, oldest in enumerate(stated))


def test_a_worker_does_not_carry_alembic() -> None:
    loaded = "import sys, consumer.cli.worker; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
