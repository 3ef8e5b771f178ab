"""Kafka records as the consumer sees them, and their places."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

Stage = Literal["decode", "validate", "write"]
Reason = Literal[
    "too_large",
    "bad_tombstone",
    "not_json",
    "not_an_event",
    "unknown_type",
    "unknown_schema",
    "invalid",
    "conflict",
    "refused",
]
"""Why a record cannot be applied, and `Stage`: where that was found."""

CUT_VALUE_BYTES = 8_388_609
"""The length to which the value of a record is cut that is too long to be held. No setting allows values of this
length.
"""


class Partition(NamedTuple):
    """A partition of a topic. Sorts by topic, then number: the order in which offset rows are locked."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


def partitions_of(counts: Mapping[str, int]) -> list[Partition]:
    """All partitions of topics with these numbers of partitions."""
    return [Partition(topic, number) for topic, count in counts.items() for number in range(count)]


class Record(Protocol):
    """One Kafka record: bytes, and where they came from. `timestamp` is in milliseconds since 1970."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class StoredRecord(NamedTuple):
    """A record read back from a dead letter."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Span(NamedTuple):
    """A range of a partition, from the position before it to the position after it.

    Offsets need not be contiguous: compaction and transaction markers leave gaps. `topic_id` is that of the stored
    position, None if there is none: an offset means nothing in a topic that was created again under the same name.
    """

    start: int
    next: int
    topic_id: str | None = None


class Poll(NamedTuple):
    """The result of one poll: records in log order for each partition, and how far each position moved.

    A position can move without a record: transaction markers, aborted transactions and compacted batches take offsets.
    """

    epoch: int
    records: list[Record]
    spans: dict[Partition, Span]
    last: dict[Partition, Record]


class Anchor(NamedTuple):
    """The last record taken from a partition, with what distinguishes it from another record at the same offset."""

    offset: int
    timestamp: int
    crc: int


def record_size(record: Record) -> int:
    """Bytes of key, value and headers."""
    size = len(record.key or b"") + len(record.value or b"")
    if record.headers:
        size += sum(len(name) + len(content or b"") for name, content in record.headers)
    return size


def record_crc(record: Record) -> int:
    """CRC-32 of key, value and headers, each with its length, so that none runs into the next; None has length -1."""
    crc = _crc_of(record.value, _crc_of(record.key, 0))
    for name, content in record.headers:
        crc = _crc_of(content, _crc_of(name.encode(errors="surrogateescape"), crc))
    return crc


def anchor_of(record: Record) -> Anchor:
    """The anchor that `record` makes."""
    return Anchor(record.offset, record.timestamp, record_crc(record))


def _crc_of(part: bytes | None, crc: int) -> int:
    length = -1 if part is None else len(part)
    return zlib.crc32(part or b"", zlib.crc32(length.to_bytes(8, "big", signed=True), crc))
