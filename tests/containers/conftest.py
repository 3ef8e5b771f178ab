"""Docker: what needs it is skipped without it, and fails instead where REELSYNC_REQUIRE_DOCKER=1."""

import os
import shlex
import subprocess
from collections.abc import Iterator

import pytest
from stack import Stack

COMPOSE = shlex.split(os.environ.get("COMPOSE_COMMAND", "docker compose"))


def docker_or_skip() -> None:
    """Skip the test unless Docker and Compose answer."""
    for command in (["docker", "version", "--format", "{{.Server.Version}}"], [*COMPOSE, "version"]):
        try:
            asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
            missing = asked.stderr.strip().splitlines()[-1:] if asked.returncode else None
        except (OSError, subprocess.TimeoutExpired) as error:
            missing = [str(error)]
        if missing is not None:
            message = f"`{shlex.join(command)}` does not work: {' '.join(missing)}"
            if os.environ.get("REELSYNC_REQUIRE_DOCKER") == "1":
                pytest.fail(message)
            pytest.skip(message)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The services of docker-compose.yml, up and healthy, under a name of their own; gone with their volumes after."""
    docker_or_skip()
    with Stack(COMPOSE) as running:
        yield running
