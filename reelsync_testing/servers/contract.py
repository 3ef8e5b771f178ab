"""What tests need from a server, whether it is embedded, in a container, or started elsewhere."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Literal, Protocol


class DatabaseServer(Protocol):
    """A PostgreSQL server for tests only."""

    def url(self, database: str = "postgres") -> str:
        """The URL for SQLAlchemy, as the server's superuser."""

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database. The template must not have any connections."""

    def drop_database(self, name: str) -> None:
        """Drop a database and whatever connections it has."""

    def start(self) -> None:
        """Start it with its old data and port."""

    def shut_down(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it and keep its data: an outage, until `start`."""

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start; after "immediate" it recovers as from a crash."""


class Broker(Protocol):
    """A broker for tests only."""

    @property
    def bootstrap_servers(self) -> str:
        """Host and port for clients."""

    @property
    def address(self) -> tuple[str, int]:
        """The address at which it listens, without any proxy."""

    def frozen(self) -> AbstractContextManager[None]:
        """During the block it accepts connections and answers nothing."""

    async def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics with so many partitions each."""
