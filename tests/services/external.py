"""A broker that runs already, at TEST_BOOTSTRAP_SERVERS; only its topics are ours."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from reelsync.testing.servers.topics import create_topics

BOOTSTRAP_SERVERS = os.environ.get("TEST_BOOTSTRAP_SERVERS", "")


class ExternalBroker:
    """Neither started nor stopped by the tests."""

    bootstrap_servers = BOOTSTRAP_SERVERS

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = BOOTSTRAP_SERVERS.partition(",")[0].rpartition(":")
        return host, int(port)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Not possible: it is not ours."""
        pytest.skip("a broker of somebody else's is not stopped")
        yield

    async def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics there."""
        await create_topics(self.bootstrap_servers, partitions)
