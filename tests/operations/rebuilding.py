"""Rebuilds, and damage for them to mend."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.rebuild import as_json_document, run_rebuild
from reelsync.consumer.settings import Settings
from tests.operations.random_topics import publish_log
from tests.support.processes import ROOT, environment
from tests.support.running import consuming, until_applied


async def rebuilt(migrating: Settings, *, exactly: bool = False, apply: bool = True) -> dict[str, Any]:
    return as_json_document(await run_rebuild(migrating, exactly=exactly, apply=apply), applied=apply)


def done_to(report: dict[str, Any], what: str) -> dict[str, int]:
    return {part["table"]: part[what] for part in report["tables"] if part[what]}


async def applied(settings: Settings, seed: int, events: int = 400) -> None:
    await publish_log(settings, seed, events)
    async with consuming(settings):
        await until_applied(settings)


async def shadow_tables(operator: AsyncConnection) -> int:
    count = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'reelsync_rebuild'")
    return int(await operator.scalar(count))


DAMAGE = (
    "UPDATE videos SET title = 'x', details_version = details_version - 1 WHERE get_byte(uuid_send(id), 15) % 3 = 0",
    "UPDATE videos SET status = 'failed', progress = 1 WHERE get_byte(uuid_send(id), 15) % 3 = 1 AND version > 0",
    "UPDATE users SET preferences = '{}', updated_at = '2020-01-01' WHERE version > 0",
    "DELETE FROM user_profiles WHERE get_byte(uuid_send(user_id), 15) % 2 = 0",
    "DELETE FROM model_usage",
    "DELETE FROM videos WHERE get_byte(uuid_send(id), 15) % 3 = 2",
    "DELETE FROM dead_letters",
)


async def damage(operator: AsyncConnection) -> None:
    for statement in DAMAGE:
        await operator.execute(text(statement))


@contextmanager
def rebuilding(migrating: Settings, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A rebuild in a process of its own, killed at the end."""
    command, quiet = [sys.executable, "-m", "reelsync.consumer", "rebuild", *options], subprocess.DEVNULL
    child = subprocess.Popen(command, env=environment(migrating), cwd=ROOT, stdout=quiet, stderr=quiet)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
