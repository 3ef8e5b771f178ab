"""The publisher that a service uses: it sends events, and returns when the brokers have acknowledged them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Literal, TypedDict, Unpack
from uuid import UUID

from ..data import Aggregate, EventData
from .delivery import AnyProducer, ConfluentProducer, Sent, deliver, deliver_blocking
from .encoding import EventEncoder, Mode, OutgoingRecord


class EncoderOptions(TypedDict, total=False):
    """Further arguments of an EventEncoder."""

    topics: Mapping[Aggregate, str]
    mode: Mode
    max_value_bytes: int
    trace_context: Callable[[], Mapping[str, str]]


class EventAttributes(TypedDict, total=False):
    """The attributes of one event that a caller may set; the publisher fills in the rest."""

    event_id: str | None
    time: datetime | None
    traceparent: str | None


class Publisher:
    """Sends events in an asyncio program.

    Args:
        producer: A started `AIOKafkaProducer`, made with AIOKAFKA_OPTIONS; or one of confluent-kafka, made with
            CONFLUENT_OPTIONS. Without serializers: it gets bytes. It stays the caller's to start and stop.
        source: Who publishes, such as `/render/eu-1`.
        options: `topics`, `mode`, `max_value_bytes`, `trace_context`: see EventEncoder.
    """

    def __init__(self, producer: AnyProducer, *, source: str, **options: Unpack[EncoderOptions]) -> None:
        self.producer = producer
        self.encoder = EventEncoder(source=source, **options)

    async def send(self, event: EventData, **attributes: Unpack[EventAttributes]) -> Sent:
        """Send one event; returns when it is acknowledged.

        Raises:
            InvalidEventError: a consumer would refuse it. Nothing was sent.
            DeliveryError: it was not acknowledged.
        """
        return (await deliver(self.producer, [self.encoder.encode(event, **attributes)]))[0]

    async def send_many(self, events: Iterable[EventData | OutgoingRecord]) -> list[Sent]:
        """Send many events, or records encoded before, in order and pipelined; returns when all are acknowledged.

        Raises:
            InvalidEventError: a consumer would refuse one. Nothing was sent.
            DeliveryError: some were not acknowledged; it says which.
        """
        return await deliver(self.producer, _encoded(self.encoder, events))

    async def erase(self, aggregate: Literal["user", "video"], erased: str | UUID) -> Sent:
        """Send a tombstone: everything that is known of that user or video is removed for good.

        Raises:
            ValueError: the id is not a UUID, or `aggregate` has only facts.
            DeliveryError: it was not acknowledged.
        """
        return (await deliver(self.producer, [self.encoder.tombstone(aggregate, erased)]))[0]


class BlockingPublisher:
    """The same over a `confluent_kafka.Producer`, for a program without asyncio."""

    def __init__(self, producer: ConfluentProducer, *, source: str, **options: Unpack[EncoderOptions]) -> None:
        self.producer = producer
        self.encoder = EventEncoder(source=source, **options)

    def send(self, event: EventData, **attributes: Unpack[EventAttributes]) -> Sent:
        """As `Publisher.send`."""
        return deliver_blocking(self.producer, [self.encoder.encode(event, **attributes)])[0]

    def send_many(self, events: Iterable[EventData | OutgoingRecord]) -> list[Sent]:
        """As `Publisher.send_many`."""
        return deliver_blocking(self.producer, _encoded(self.encoder, events))

    def erase(self, aggregate: Literal["user", "video"], erased: str | UUID) -> Sent:
        """As `Publisher.erase`."""
        return deliver_blocking(self.producer, [self.encoder.tombstone(aggregate, erased)])[0]


def _encoded(encoder: EventEncoder, events: Iterable[EventData | OutgoingRecord]) -> list[OutgoingRecord]:
    return [event if isinstance(event, OutgoingRecord) else encoder.encode(event) for event in events]
