"""Sends records over the producer that a service has; a record is delivered when the brokers have acknowledged it.

No Kafka client is imported: a producer is recognised by its methods. It must be configured so that it loses nothing
that it accepted, and chooses partitions as all other publishers do. The options below do that; the defaults of
aiokafka's acks and of librdkafka's partitioner do not. They leave idempotence off, because the merge puts repeated and
reordered events right.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from .encoding import OutgoingRecord

AIOKAFKA_OPTIONS: Mapping[str, Any] = {"acks": "all"}
"""For `AIOKafkaProducer(**…)`: an acknowledged record is on all in-sync replicas."""
CONFLUENT_OPTIONS: Mapping[str, Any] = {"acks": "all", "partitioner": "murmur2_random"}
"""The same for `Producer({…})`, and Kafka's own partitioner: all publishers of an aggregate must share one."""

_POLL_SECONDS = 0.1
_SHOWN = 3


# Methods as properties: each client's own has more parameters than a method here could name.
class AiokafkaProducer(Protocol):
    """An `aiokafka.AIOKafkaProducer` that was started."""

    @property
    def send(self) -> Callable[..., Awaitable[Any]]:
        """Put a record into a batch; awaiting gives a future that ends with its acknowledgement."""

    @property
    def send_and_wait(self) -> Callable[..., Awaitable[Any]]:
        """Send a record and wait for its acknowledgement."""


class AsyncConfluentProducer(Protocol):
    """A `confluent_kafka.aio.AIOProducer`. It sends no headers, so structured mode alone, without a content type."""

    @property
    def produce(self) -> Callable[..., Awaitable[Any]]:
        """Put a record into a batch; what is awaited gives the future of its acknowledgement."""

    @property
    def flush(self) -> Callable[..., Awaitable[Any]]:
        """Send what is in the batches."""


class ConfluentProducer(Protocol):
    """A `confluent_kafka.Producer`."""

    @property
    def produce(self) -> Callable[..., Any]:
        """Put a record into the queue; `poll` calls `on_delivery` with the result."""

    @property
    def poll(self) -> Callable[..., Any]:
        """Call the callbacks that are due, waiting at most so many seconds."""


class Sent(NamedTuple):
    """Where an acknowledged record is in the log. `id` is the event's; empty for a tombstone."""

    id: str
    topic: str
    partition: int
    offset: int


class DeliveryError(Exception):
    """Some records were not acknowledged. Whether the brokers have stored them is not known.

    Send `undelivered` again as they are: their ids stay the same, so a record that is stored twice does no harm.
    `cause` is the client's error for the first of them.
    """

    def __init__(self, records: Sequence[OutgoingRecord], outcomes: Sequence["Outcome"]) -> None:
        self.delivered = tuple(outcome for outcome in outcomes if isinstance(outcome, Sent))
        failed = [(record, o) for record, o in zip(records, outcomes, strict=True) if not isinstance(o, Sent)]
        self.undelivered = tuple(record for record, _ in failed)
        self.cause = next(outcome for outcome in outcomes if isinstance(outcome, Exception))
        shown = "; ".join(f"{r.type} {r.id} to {r.topic}: {type(o).__name__}: {o}" for r, o in failed[:_SHOWN])
        more = f"; and {len(failed) - _SHOWN:,} more" if len(failed) > _SHOWN else ""
        super().__init__(f"{len(failed):,} of {len(records):,} records were not acknowledged: {shown}{more}")


Outcome = Sent | Exception
AnyProducer = AiokafkaProducer | AsyncConfluentProducer | ConfluentProducer


async def deliver(producer: AnyProducer, records: Iterable[OutgoingRecord]) -> list[Sent]:
    """Send all records, pipelined and in order, and return when each is acknowledged.

    A `confluent_kafka.Producer` is waited for in a thread, which a cancellation does not end.

    Raises:
        DeliveryError: some were not acknowledged; its cause is the client's error for the first of them.
        RuntimeError: an AIOKafkaProducer was not started, or was stopped.
        TypeError: this kind of producer is not known, or cannot send the headers of binary mode.
    """
    waiting = tuple(records)
    return _all_sent(waiting, await _way_of(producer)(waiting))


def deliver_blocking(producer: ConfluentProducer, records: Iterable[OutgoingRecord]) -> list[Sent]:
    """The same for a program without asyncio.

    Raises:
        DeliveryError: as `deliver`.
    """
    waiting = tuple(records)
    return _all_sent(waiting, _through_confluent(producer, waiting))


def _all_sent(records: Sequence[OutgoingRecord], outcomes: Sequence[Outcome]) -> list[Sent]:
    sent = [outcome for outcome in outcomes if isinstance(outcome, Sent)]
    if len(sent) < len(outcomes):
        error = DeliveryError(records, outcomes)
        raise error from error.cause
    return sent


def _way_of(producer: Any) -> Callable[[Sequence[OutgoingRecord]], Awaitable[list[Outcome]]]:
    if hasattr(producer, "send_and_wait"):
        return lambda records: _through_aiokafka(producer, records)
    produce = getattr(producer, "produce", None)
    if inspect.iscoroutinefunction(produce):
        return lambda records: _through_async_confluent(producer, records)
    if callable(produce) and hasattr(producer, "poll"):
        return lambda records: asyncio.to_thread(_through_confluent, producer, records)
    kind = type(producer).__qualname__
    raise TypeError(f"{kind} is not a known producer: use an AIOKafkaProducer, or a Producer of confluent_kafka")


async def _through_aiokafka(producer: AiokafkaProducer, records: Sequence[OutgoingRecord]) -> list[Outcome]:
    _check_started(producer)

    async def start(record: OutgoingRecord) -> Awaitable[Any]:
        future: Awaitable[Any] = await producer.send(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )
        return future

    return await _pipelined(records, start, lambda done: (done.partition, done.offset))


def _check_started(producer: Any) -> None:
    """Refuse an aiokafka producer that is not started: it would wait for ever for the metadata of a topic."""
    client = getattr(producer, "client", None)
    if client is not None and not client.cluster.brokers():
        raise RuntimeError("the producer was not started: await producer.start(), or use it with `async with`")
    if getattr(producer, "_closed", False):
        raise RuntimeError("the producer was stopped: make one for the life of the process")


async def _through_async_confluent(
    producer: AsyncConfluentProducer, records: Sequence[OutgoingRecord]
) -> list[Outcome]:
    if any(name.startswith("ce_") for record in records for name, _ in record.headers):
        raise TypeError("AIOProducer sends no headers, and binary mode needs them: use structured mode, or Producer")

    async def start(record: OutgoingRecord) -> Awaitable[Any]:
        future: Awaitable[Any] = await producer.produce(record.topic, value=record.value, key=record.key)
        return future

    return await _pipelined(records, start, lambda done: (done.partition(), done.offset()), producer.flush)


async def _pipelined(
    records: Sequence[OutgoingRecord],
    start: Callable[[OutgoingRecord], Awaitable[Awaitable[Any]]],
    place: Callable[[Any], tuple[int, int]],
    flush: Callable[[], Awaitable[object]] | None = None,
) -> list[Outcome]:
    """Start all, then wait for all. If one cannot be started, those after it are not tried, to keep the order."""
    started: list[Awaitable[Any]] = []
    refused: Exception | None = None
    for record in records:
        try:
            started.append(await start(record))
        except Exception as error:  # noqa: BLE001 - whatever the client raises is this record's outcome
            refused = error
            break
    if flush is not None:
        await flush()
    outcomes: list[Outcome] = []
    for record, done in zip(records, await asyncio.gather(*started, return_exceptions=True), strict=False):
        if isinstance(done, BaseException):
            outcomes.append(done if isinstance(done, Exception) else RuntimeError(repr(done)))
        else:
            outcomes.append(Sent(record.id, record.topic, *place(done)))
    if refused is not None:
        outcomes += [refused] * (len(records) - len(outcomes))
    return outcomes


def _through_confluent(producer: ConfluentProducer, records: Sequence[OutgoingRecord]) -> list[Outcome]:
    """Send through confluent-kafka, which calls back for every record, after `delivery.timeout.ms` at the latest."""
    outcomes: dict[int, Outcome] = {}

    def learn(number: int, error: Any, message: Any) -> None:
        record = records[number]
        if error is None:
            outcomes[number] = Sent(record.id, record.topic, message.partition(), message.offset())
        else:
            outcomes[number] = RuntimeError(str(error))

    for number, record in enumerate(records):
        try:
            _produce(producer, record, partial(learn, number))
        except Exception as error:  # noqa: BLE001 - whatever the client raises is this record's outcome
            outcomes |= dict.fromkeys(range(number, len(records)), error)
            break
    while len(outcomes) < len(records):
        producer.poll(_POLL_SECONDS)
    return [outcomes[number] for number in range(len(records))]


def _produce(producer: ConfluentProducer, record: OutgoingRecord, on_delivery: Callable[[Any, Any], None]) -> None:
    while True:
        try:
            producer.produce(
                record.topic, value=record.value, key=record.key, headers=list(record.headers), on_delivery=on_delivery
            )
        except BufferError:
            producer.poll(_POLL_SECONDS)  # the queue is full: what is delivered makes room
        else:
            return
