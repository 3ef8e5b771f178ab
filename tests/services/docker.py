"""Whether there is a Docker engine, and which images the tests use."""

import gc
import os
import warnings
from functools import cache

import docker
from docker.errors import DockerException

KAFKA_IMAGE = os.environ.get("TEST_KAFKA_IMAGE", "confluentinc/cp-kafka:8.0.0")
APACHE_KAFKA_IMAGE = os.environ.get("TEST_KAFKA_APACHE_IMAGE", "apache/kafka:4.3.1")
POSTGRES_IMAGE = os.environ.get("TEST_POSTGRES_IMAGE", "postgres:18")
REQUIRED = "REELSYNC_REQUIRE_DOCKER"


@cache
def why_no_docker() -> str | None:
    """Why containers cannot be started here; None if they can."""
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


def docker_is_required() -> bool:
    """Whether the absence of Docker is a failure."""
    return os.environ.get(REQUIRED, "") not in {"", "0"}
