"""PostgreSQL and Apache Kafka in containers, started by Testcontainers."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, Self

from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.postgres import PostgresContainer

from .child_process import free_port
from .databases import create_database, drop_database
from .docker import KAFKA_IMAGE, POSTGRES_IMAGE
from .topics import create_topics

_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "256MB"}
_KAFKA = {
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_MESSAGE_MAX_BYTES": "2097152",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_LOG_CLEANER_BACKOFF_MS": "100",
    "KAFKA_LOG_RETENTION_MS": "-1",  # the records of tests are older than any retention
}
_SIGNALS = {"fast": "SIGINT", "immediate": "SIGQUIT"}
_STOP_SECONDS = 60


class ContainerPostgres:
    """PostgreSQL in a container. Its host port is fixed, so it stays the same after a restart."""

    def __init__(self) -> None:
        self._port = free_port()
        self._container = (
            PostgresContainer(
                POSTGRES_IMAGE,
                username="postgres",
                password=secrets.token_urlsafe(16),
                dbname="postgres",
                driver="asyncpg",
            )
            .with_bind_ports(5432, self._port)
            .with_command(["postgres", *(f"--{name}={value}" for name, value in _POSTGRES.items())])
        )

    def __enter__(self) -> Self:
        self._container.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._container.stop()

    def url(self, database: str = "postgres") -> str:
        """The URL as superuser."""
        return f"postgresql+asyncpg://postgres:{self._container.password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database."""
        create_database(self.url(), name, template)

    def drop_database(self, name: str) -> None:
        """Drop a database and its connections."""
        drop_database(self.url(), name)

    def start(self) -> None:
        """Start the stopped container, and wait until it takes connections."""
        self._container.get_wrapped_container().start()
        self._container._connect()  # noqa: SLF001 - what start() of a new one does

    def shut_down(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server, the container's first process, by the signal for this kind of end."""
        container = self._container.get_wrapped_container()
        container.kill(signal=_SIGNALS[mode])
        container.wait(timeout=_STOP_SECONDS)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start."""
        self.shut_down(mode)
        self.start()


class _Kafka(KafkaContainer):
    """KafkaContainer that also works with images of read-only files, and with clients that connect through a proxy."""

    def __init__(self, image: str, proxy_port: int | None) -> None:
        super().__init__(image)
        self._proxy_port = proxy_port

    @property
    def address(self) -> tuple[str, int]:
        """The address at which the broker listens."""
        return str(super().get_container_host_ip()), int(super().get_exposed_port(self.port))

    def get_container_host_ip(self) -> str:
        """The host that clients use."""
        return "127.0.0.1" if self._proxy_port else str(super().get_container_host_ip())

    def get_exposed_port(self, port: int) -> int:
        """The port that clients use."""
        return self._proxy_port or int(super().get_exposed_port(port))

    def configure(self) -> None:
        """Configure it as usual, after its owner has got the right to write to the script."""
        super().configure()  # type: ignore[no-untyped-call]
        self.boot_command = f"chmod u+w /etc/confluent/docker/configure\n{self.boot_command}"


class ContainerBroker:
    """Apache Kafka in KRaft mode in a container, one node. Clients are told to connect to `proxy_port`.

    `settings` are environment variables of the image, such as `KAFKA_AUTO_CREATE_TOPICS_ENABLE`.
    """

    def __init__(self, proxy_port: int | None = None, **settings: str) -> None:
        self._container = _Kafka(KAFKA_IMAGE, proxy_port).with_kraft()
        for name, value in (_KAFKA | settings).items():
            self._container.with_env(name, value)

    def __enter__(self) -> Self:
        self._container.start(timeout=90)
        return self

    def __exit__(self, *_: object) -> None:
        self._container.stop()

    @property
    def address(self) -> tuple[str, int]:
        """The address at which the broker listens, without any proxy."""
        return self._container.address

    @property
    def bootstrap_servers(self) -> str:
        """Host and port for clients."""
        return str(self._container.get_bootstrap_server())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Pause the container's processes."""
        container = self._container.get_wrapped_container()
        container.pause()
        try:
            yield
        finally:
            container.unpause()

    async def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create topics and wait until the broker serves them."""
        await create_topics(self.bootstrap_servers, partitions)
