"""Whether there is a Docker engine, and which images the tests run."""

import gc
import os
import warnings
from functools import cache
from importlib.util import find_spec

KAFKA_IMAGE = os.environ.get("TEST_KAFKA_IMAGE", "confluentinc/cp-kafka:8.0.0")
POSTGRES_IMAGE = os.environ.get("TEST_POSTGRES_IMAGE", "postgres:18")


@cache
def why_no_docker() -> str | None:
    """The reason why containers cannot be started here; None if they can."""
    if find_spec("testcontainers") is None:
        return "the package testcontainers is missing: install reelsync[testing]"
    import docker
    from docker.errors import DockerException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a client whose engine is away leaves its socket open
        try:
            client = docker.from_env(timeout=10)
            client.ping()
            client.close()
        except DockerException:
            where = os.environ.get("DOCKER_HOST", "the default socket")
            return f"no Docker engine answers at {where}"
        finally:
            gc.collect()
    return None
