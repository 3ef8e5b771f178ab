"""reelsync, started by its own command as in production: with HTTP, metrics and health."""

import sys

from pydantic_core import to_json

from benchmarks.contenders.assignment import SESSION_MS, Assignment, Launch, environment
from benchmarks.forms import TOPICS

_GATE_SECONDS = "120"
"""The gate is a lock, and reelsync must not give up waiting for it."""


def launches(assignment: Assignment, workers: int, **changed: str) -> list[Launch]:
    """The command, with this number of workers, and some settings changed."""
    command = [sys.executable, "-m", "reelsync.consumer", "run", f"--workers={workers}"]
    return [Launch(command, environment() | settings(assignment) | changed)]


def settings(assignment: Assignment) -> dict[str, str]:
    """The default settings, except for the servers' addresses and the timeouts."""
    return {
        "REELSYNC_KAFKA__BOOTSTRAP_SERVERS": assignment.bootstrap_servers,
        "REELSYNC_KAFKA__TOPICS": to_json({assignment.topic: TOPICS[assignment.form]}).decode(),
        "REELSYNC_KAFKA__GROUP_ID": assignment.group,
        "REELSYNC_KAFKA__SESSION_TIMEOUT_MS": str(SESSION_MS),
        "REELSYNC_DATABASE__URL": assignment.database_url,
        "REELSYNC_DATABASE__LOCK_TIMEOUT": _GATE_SECONDS,
        "REELSYNC_DATABASE__STATEMENT_TIMEOUT": _GATE_SECONDS,
        "REELSYNC_HTTP__PORT": "0",
        "REELSYNC_LOG__LEVEL": "WARNING",
    }
