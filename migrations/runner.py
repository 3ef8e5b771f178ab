"""Migrations without Alembic's own command: what `reelsync migrate`, the start-up check and the tests call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from models.engine import create_single_use_engine

from .compatibility import Stated, read_stated

T = TypeVar("T")

_SCRIPTS = Path(__file__).parent


@dataclass(frozen=True)
class SchemaState:
    """The database's revision, and whether this version of reelsync may use it."""

    revision: str | None
    """None before the first migration."""
    usable: bool
    newer: bool
    """A later version of reelsync migrated it: a revision that this one does not know."""


def head_revision() -> str:
    """The newest revision that this version of reelsync knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        message = "there are no revisions in migrations/versions"
        raise RuntimeError(message)
    return head


async def current_revision(url: str) -> str | None:
    """The revision that the database is at; None before the first."""
    return (await _connected(url, read_stated)).revision


async def schema_state(url: str) -> SchemaState:
    """What the database says of its schema, judged with what this version knows."""
    return judge(await _connected(url, read_stated), head_revision(), known_revisions())


def judge(stated: Stated, head: str, known: frozenset[str]) -> SchemaState:
    """Usable are our own head, and a newer schema that states a revision of ours as the oldest it still works with.

    `known`: the revisions of this version, all of them at or before `head`.
    """
    if stated.revision is None or stated.revision in known:
        return SchemaState(stated.revision, usable=stated.revision == head, newer=False)
    return SchemaState(stated.revision, usable=stated.compatible_from in known, newer=True)


def known_revisions() -> frozenset[str]:
    """All revisions that this version of reelsync has."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database up to a revision. Runs alone; waits a minute at most for another runner."""
    await _connected(url, lambda connection: command.upgrade(_config(connection), revision))


async def downgrade(url: str, revision: str) -> None:
    """Take the database back to a revision. Data in what is dropped is lost."""
    await _connected(url, lambda connection: command.downgrade(_config(connection), revision))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config


async def _connected(url: str, act: Callable[[Connection], T]) -> T:
    engine = create_single_use_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(act)
    finally:
        await engine.dispose()
