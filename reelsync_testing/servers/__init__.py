"""A PostgreSQL and a broker for tests: in containers, or from embedded binaries."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from .contract import Broker, DatabaseServer
from .docker import why_no_docker

Kind = Literal["containers", "embedded"]

__all__ = ["Broker", "DatabaseServer", "Kind", "available_kind", "broker_of", "postgres_of"]


def available_kind() -> Kind:
    """Containers if there is a Docker engine; embedded otherwise."""
    return "embedded" if why_no_docker() else "containers"


def postgres_of(kind: Kind) -> AbstractContextManager[DatabaseServer]:
    """PostgreSQL, while the block runs. It may lose data if the machine crashes, which makes it faster.

    The embedded one is of another version if TEST_POSTGRES_BINARIES names its programs.

    Raises:
        ServiceError: it did not start, or its package is missing.
    """
    if kind == "containers":
        from .containers import ContainerPostgres

        return ContainerPostgres()
    from .embedded_postgres import EmbeddedPostgres

    binaries = os.environ.get("TEST_POSTGRES_BINARIES")
    return EmbeddedPostgres(durable=False, binaries=Path(binaries) if binaries else None)


def broker_of(kind: Kind) -> AbstractContextManager[Broker]:
    """A broker, while the block runs: Apache Kafka in a container, or an embedded one that speaks its protocol.

    Raises:
        ServiceError: it did not start, or its package is missing.
    """
    if kind == "containers":
        from .containers import ContainerBroker

        return ContainerBroker()
    from .embedded_broker import EmbeddedBroker

    return EmbeddedBroker()
