"""Producers: one that sends many records at once, and one that sends record by record to one topic."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
    UnsupportedForMessageFormatError,
)

from reelsync.consumer.errors import KafkaFailedError, MisconfiguredError, ReelsyncError
from reelsync.consumer.settings import KafkaSettings
from reelsync.events.publishing import AIOKAFKA_OPTIONS, DeliveryError

from .clients import connection_options
from .closing import to_the_end
from .diagnosis import diagnose

_LARGEST_BYTES = 8_388_608
_STOP_SECONDS = 3.0
_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, UnsupportedForMessageFormatError)


class RefusedError(ReelsyncError):
    """The topic will never accept this record."""


@asynccontextmanager
async def publishing(settings: KafkaSettings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer for many records, each acknowledged by all in-sync replicas.

    Raises:
        ReelsyncError: the brokers did not accept the records; says what to do.
    """
    options = {**await connection_options(settings), **AIOKAFKA_OPTIONS}
    producer = AIOKafkaProducer(**options, linger_ms=5, max_batch_size=262_144, max_request_size=_LARGEST_BYTES)
    try:
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            raise await _not_taken(settings, error) from error
        try:
            yield producer
        except DeliveryError as failed:
            raise await _not_taken(settings, failed.cause) from failed.cause
        except KafkaError as error:
            raise await _not_taken(settings, error) from error
    finally:
        await producer.stop()


async def _not_taken(settings: KafkaSettings, error: Exception) -> ReelsyncError:
    """Why the brokers did not take the events, and what to do."""
    problem = await diagnose(settings, error)
    if isinstance(problem, MisconfiguredError):
        return problem
    return ReelsyncError(
        f"the brokers at {settings.bootstrap_servers} did not take the events ({type(error).__name__}): see "
        "`reelsync check`. Publish the file again when they are back: what was sent already does no harm"
    )


class TopicProducer:
    """Sends records one at a time, because a refusal of one refuses all that were sent with it."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> None:
        """Send a record, and wait until all in-sync replicas have it. The first call connects.

        Raises:
            RefusedError: the topic does not accept it.
            KafkaFailedError: the brokers failed, or could not be reached.
        """
        try:
            producer = await self._started()
            await producer.send_and_wait(self._topic, value, key=key, headers=headers)
        except _REFUSALS as error:
            raise RefusedError(type(error).__name__) from error
        except UnknownError as error:
            # aiokafka's error for INVALID_RECORD (87): a compacted topic accepts no record without a key.
            kind = RefusedError if key is None else KafkaFailedError
            raise kind(type(error).__name__) from error
        except KafkaError as error:
            raise KafkaFailedError(type(error).__name__) from error

    async def close(self) -> None:
        """Close the connection, also if this is cancelled. The next record opens a new one."""
        await to_the_end(self._close())

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        starting, self._starting = self._starting, None
        if producer is None or starting is None:
            return
        await asyncio.wait({starting}, timeout=_STOP_SECONDS)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        # Without a broker it waits until the records that are under way expire. If it were cancelled, its connections
        # would stay open, and its sender at work, for ever.
        stopping = asyncio.create_task(producer.stop())
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopped)
        await asyncio.wait({stopping}, timeout=_STOP_SECONDS)

    def _stopped(self, stopping: asyncio.Task[None]) -> None:
        self._stopping.discard(stopping)
        if not stopping.cancelled():
            # Nobody waits for its error.
            stopping.exception()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            options = await connection_options(self._settings)
            self._producer = AIOKafkaProducer(**options, acks="all", linger_ms=0, max_request_size=_LARGEST_BYTES)
            self._starting = asyncio.create_task(self._producer.start())
        if self._starting:
            # If aiokafka's start is cancelled, it leaves its connection open. `close` waits for it instead.
            await asyncio.shield(self._starting)
        return self._producer
