"""What a contender must consume, and how its process is started."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.forms import Form

ROOT = Path(__file__).parents[2]
SESSION_MS = 6_000
"""The session timeout of all groups. The embedded broker makes a new group wait for half of it."""


class Assignment(NamedTuple):
    """Consume this topic, as this group, into this database."""

    bootstrap_servers: str
    database_url: str
    topic: str
    partitions: int
    events: int
    group: str
    connections: int = 1
    workload: str = ""
    form: Form = "events"


class Launch(NamedTuple):
    """A process to start in the root of the project, or in a new folder with files of its own."""

    command: list[str]
    env: Mapping[str, str]
    files: Mapping[str, str] = MappingProxyType({})
    """File name → content."""


def module(name: str, assignment: Assignment) -> Launch:
    """A contender that is a module of this package; it reads its assignment from the command line."""
    command = [sys.executable, "-m", f"benchmarks.contenders.{name}", json.dumps(assignment._asdict())]
    return Launch(command, environment())


def environment() -> dict[str, str]:
    """The environment of this process, without settings of reelsync that somebody may have made."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
    return ours | {"PYTHONPATH": str(ROOT)}


def read_assignment() -> Assignment:
    """Read the assignment from the command line."""
    return Assignment(**json.loads(sys.argv[1]))
