"""Whether there is a Docker engine, and which images the tests use."""

import os
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
    try:
        client = docker.from_env(timeout=10)
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        return f"no Docker engine answers ({error})"
    return None


def docker_is_required() -> bool:
    """Whether the absence of Docker is a failure."""
    return os.environ.get(REQUIRED, "") not in {"", "0"}
