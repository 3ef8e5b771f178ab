"""Whether tests may, or must, use containers; and the image of the cluster, which the plugin has no use for."""

import os

from reelsync.testing.servers.docker import KAFKA_IMAGE, POSTGRES_IMAGE, why_no_docker

APACHE_KAFKA_IMAGE = os.environ.get("TEST_KAFKA_APACHE_IMAGE", "apache/kafka:4.3.1")
REQUIRED = "REELSYNC_REQUIRE_DOCKER"

__all__ = ["APACHE_KAFKA_IMAGE", "KAFKA_IMAGE", "POSTGRES_IMAGE", "REQUIRED", "docker_is_required", "why_no_docker"]


def docker_is_required() -> bool:
    """Whether the absence of Docker is a failure."""
    return os.environ.get(REQUIRED, "") not in {"", "0"}
