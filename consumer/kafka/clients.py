"""How Kafka clients connect, from the settings, and how a consumer is stopped in any state."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from reelsync.consumer.errors import MisconfiguredError
from reelsync.consumer.kafka.broker_client import Client
from reelsync.consumer.kafka.group_refusals import GroupFullError
from reelsync.consumer.kafka.reader import Reader
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.tls import TlsFile, TlsFiles, load_certificate

from .closing import to_the_end
from .logins import Login, LoginError, keep_logged_in
from .neighbours import Home, Neighbours
from .record_batches import read_all_batches

CLIENT_ID = "reelsync"
"""How each of our clients is called in the logs of the brokers and among the members of a group."""
_ADMIN_REQUEST_MS = 10_000


async def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that aiokafka's consumer, producer and admin client share.

    Certificate files are read again for each client that is made, and passwords and tokens for each login.

    Raises:
        MisconfiguredError: a certificate file or the password file cannot be used, or the token endpoint refuses us.
        UnavailableError: the provider of the password or token failed, or the token endpoint does not answer.
    """
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": CLIENT_ID,
        "security_protocol": settings.security_protocol,
        **await login_options(settings),
    }


async def login_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options for TLS and login. Raises what `connection_options` raises."""
    options: dict[str, Any] = {}
    if settings.security_protocol.startswith("SASL"):
        keep_logged_in()
        login = Login(settings)
        try:
            # A connection that is refused for want of a password looks to aiokafka like a broker that is away.
            await login.token()
        except LoginError as error:
            raise error.problem from None
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username or "",
            "sasl_plain_password": "",
            "sasl_oauth_token_provider": login,
        }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


class _Admin(AIOKafkaAdminClient):
    """An admin client that passes over brokers that cannot be reached."""

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        if node_id is None:
            return await self._client.ask_any(request)
        return await super()._send_request(request, node_id)


@asynccontextmanager
async def admin_client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client for questions about topics and groups, for the length of the context.

    Raises:
        KafkaError: no broker can be used.
    """
    options = await connection_options(settings)
    admin = _Admin(**options, request_timeout_ms=_ADMIN_REQUEST_MS)
    admin._client = Client(**options, request_timeout_ms=_ADMIN_REQUEST_MS)  # noqa: SLF001 - it closes all connections
    try:
        await admin.start()
        yield admin
    finally:
        await to_the_end(admin.close())


async def stop_within(consumer: AIOKafkaConsumer, seconds: float) -> None:
    """Stop a consumer, which leaves its group if a broker can be reached. After `seconds`, end what fetches, and close.

    A cancellation is raised after that.
    """
    await to_the_end(_stop_within(consumer, seconds))


async def _stop_within(consumer: AIOKafkaConsumer, seconds: float) -> None:
    # A task of its own, because without a broker stop() may hang, or end in a CancelledError that is not ours.
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait({stopping}, timeout=seconds)
    if not stopping.done() or stopping.cancelled() or stopping.exception():
        stopping.cancel()
        # What stop() did not come to. A fetcher would go on, over a new connection, when a broker answers again.
        for part in filter(None, (consumer._fetcher, consumer._client)):  # noqa: SLF001
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(part.close(), 1)


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    password = settings.ssl_keyfile_password
    files = TlsFiles(
        TlsFile("REELSYNC_KAFKA__SSL_CAFILE", settings.ssl_cafile),
        TlsFile("REELSYNC_KAFKA__SSL_CERTFILE", settings.ssl_certfile),
        TlsFile("REELSYNC_KAFKA__SSL_KEYFILE", settings.ssl_keyfile),
        password.get_secret_value() if password else None,
    )
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        load_certificate(context, files)
    except (OSError, ValueError) as error:
        message = f"TLS to Kafka: {files.problem() or error}"
        raise MisconfiguredError(message) from None
    return context


_ANY_TIME_MS = sys.maxsize
"""Between two polls. A member that waits for the database polls nothing, and leaving the group would help nobody:
/livez shows a consumer that is stuck."""
_REQUEST_SECONDS = 40.0
_JOIN_MARGIN_SECONDS = 5.0
_FETCH_BYTES = 1_572_864
"""Bytes of one fetch, of all partitions of a broker together. aiokafka's default is 50 MiB."""

_PARTITION_FETCH_BYTES = _FETCH_BYTES * 3 // 4
"""Bytes of one partition in a fetch, so that a backlog leaves room for other partitions."""

_FETCH_WAIT_MS = 200
"""How long a broker keeps a fetch that finds nothing. A partition to be fetched meanwhile waits for that answer."""


class Member(Reader):
    """A reader that belongs to the group, and joins it also while one of its topics does not exist."""

    def __init__(self, neighbours: Neighbours, **options: Any) -> None:
        super().__init__(partition_assignment_strategy=[neighbours], **options)
        self._neighbours = neighbours

    @property
    def divided(self) -> str | None:
        """Why nothing must be read, if members of the group write to other databases."""
        return self._neighbours.divided

    @property
    def home(self) -> Home | None:
        """The database that it told the others it writes to. If that was replaced since, it must join again."""
        return self._neighbours.own

    async def start(self) -> None:
        """Connect to the brokers, and join the group.

        Raises:
            GroupFullError: the group has as many members as the brokers allow.
        """
        with self._naming_full_group():
            await super().start()

    async def getmany(self, *partitions: TopicPartition, **limits: Any) -> Any:
        """The next records of these partitions. Raises what `start` raises, if the group is joined again."""
        with self._naming_full_group():
            return await super().getmany(*partitions, **limits)

    @contextmanager
    def _naming_full_group(self) -> Iterator[None]:
        """Raise the error of a full group in the place of the one that aiokafka has for all that it does not know."""
        try:
            yield
        except KafkaError as error:
            if self._client.is_refused_by_full_group:
                raise GroupFullError from error
            raise

    async def _wait_topics(self) -> None:
        """Ask for the topics once. aiokafka would wait until all of them exist, and read none until then."""
        await self._client.force_metadata_update()


async def new_member(settings: KafkaSettings, home: Home | None) -> Member:
    """A consumer that commits nothing itself and takes no position from Kafka. It has not joined yet.

    `home` is the database that it writes to, if that is known.

    A request to join is answered when the slowest member has joined, within the rebalance timeout. So the request
    timeout must be longer.
    """
    read_all_batches()
    return Member(
        Neighbours(home),
        **await connection_options(settings),
        group_id=settings.group_id,
        client_rack=settings.client_rack,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 10,
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        max_poll_interval_ms=_ANY_TIME_MS,
        request_timeout_ms=round(
            max(_REQUEST_SECONDS, settings.rebalance_timeout_ms / 1000 + _JOIN_MARGIN_SECONDS) * 1000
        ),
        metadata_max_age_ms=5_000,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
