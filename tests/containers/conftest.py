"""The services of docker-compose.yml. Tests here need Docker, and are left out without it (tests/conftest.py)."""

import os
import shlex
from collections.abc import Iterator

import pytest

from tests.containers.stack import Stack

COMPOSE = shlex.split(os.environ.get("COMPOSE_COMMAND", "docker compose"))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """All of them, up and healthy, under a name of their own; gone with their volumes after."""
    with Stack(COMPOSE) as running:
        yield running
