"""Containers are started where Docker answers; elsewhere this tier is skipped, or fails where it must run."""

import gc
import os
import warnings

import docker
import pytest
from docker.errors import DockerException


def docker_or_skip() -> None:
    """Return if Docker answers. Otherwise skip with one line, or fail if REELSYNC_REQUIRE_DOCKER=1."""
    message = _refusal()
    if message is None:
        return
    if os.environ.get("REELSYNC_REQUIRE_DOCKER") == "1":
        pytest.fail(f"{message}, and REELSYNC_REQUIRE_DOCKER=1 forbids to skip")
    pytest.skip(f"{message}: the containers tier needs it")


def _refusal() -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a client whose Docker is away leaves its socket open
        try:
            client = docker.from_env(timeout=10)
            client.ping()
            client.close()
        except DockerException as error:
            return f"Docker does not answer ({type(error).__name__})"
        finally:
            gc.collect()
    return None


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Containers can be started."""
    docker_or_skip()
