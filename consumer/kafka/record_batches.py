"""What one fetch brought, read with aiokafka's decoder, but for three things that would end a consumer at each start.

- **A batch that unpacks to more than there is memory** is unpacked in slices, and a poll ends when it has its bytes.
- **A batch that cannot be unpacked** holds up its own partition: aiokafka would raise out of `getmany`.
- **A header name that is not UTF-8**, which Kafka lets anybody write. Kafka's own client replaces what it cannot
  decode. Here each undecodable byte of a name becomes a lone surrogate, which encodes back into the byte (PEP 383): a
  dead letter keeps the name as it was sent.
"""

import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

from reelsync.consumer.records import record_size

from .decompression import UnpackError
from .unpacking import LONGEST_RECORD_BYTES, Source, check_message, slices, source_of

_LENGTH_OFFSET = 8
_OVERHEAD = 12
"""Bytes before a batch's own length counts: base offset and length. Source: Kafka documentation, "Record Batch"."""
_CODECS = 0x07
_MAGIC_OFFSET = 16
_BATCH_MAGIC = 2
"""The format of record batches; those before it have single messages."""


class Unreadable(NamedTuple):
    """A batch that cannot be unpacked: from its first offset to the one after its last."""

    first: int
    next: int
    why: str

    def __str__(self) -> str:
        return f"the batch of offsets {self.first} to {self.next - 1} cannot be unpacked: {self.why}"


@dataclass
class Room:
    """The bytes of records that a poll may still take. The record that exceeds them is the last one."""

    left: int


ROOM: ContextVar[Room] = ContextVar("room")
"""The room of the present poll; none for consumers that are not ours."""


class _UnreadableError(Exception):
    def __init__(self, batch: Unreadable) -> None:
        super().__init__(batch.why)
        self.batch = batch


class Result(fetcher.FetchResult):
    """Fetched records of one partition, which several polls take."""

    _partition_records: Any
    unreadable: Unreadable | None = None
    """The next batch, if it cannot be unpacked."""

    @property
    def owes(self) -> bool:
        """Whether the rest of a long record must be skipped before the next record."""
        source = self._source
        return source is not None and source.owed > 0

    def pass_over(self) -> None:
        """Skip the rest of a long record, in any thread. An error is raised when the next record is asked for."""
        if source := self._source:
            with suppress(UnpackError):
                source.pass_over()

    @property
    def _source(self) -> Source | None:
        records = self._partition_records
        return records._records.source if records is not None else None  # noqa: SLF001

    def getall(self, max_records: int | None = None) -> list[Any]:
        """The next records, as far as there is room for them."""
        taken: list[Any] = []
        room = ROOM.get(None) or Room(sys.maxsize)
        if not self.check_assignment(self._topic_partition) or not self.has_more() or self.unreadable:
            return taken
        most = float("inf") if max_records is None else max_records
        try:
            while len(taken) < most and room.left > 0:
                taken.append(record := next(self._partition_records))
                room.left -= record_size(record)
        except StopIteration:
            self._update_position()
            self._partition_records = None
            return taken
        except _UnreadableError as error:
            self.unreadable = error.batch
        self._update_position()
        return taken


class _Names(bytearray):
    """A buffer that decodes any bytes as text."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Names(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):
    """aiokafka's slow decoder in Python, on such a buffer."""

    def _maybe_uncompress(self) -> None:
        self._buffer: bytearray = _Names(self._buffer)


class ReadableRecords:
    """The records of one partition in one fetch."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)
        self._begin = 0
        self._batch: _ReadableBatch | None = None

    @property
    def source(self) -> Source | None:
        """The source that the present batch is unpacked from; None if it is not compressed."""
        return self._batch.source if self._batch else None

    def size_in_bytes(self) -> int:
        """Bytes, an incomplete batch at the end included."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Whether there is another complete batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> "_ReadableBatch | None":
        """The next batch, or None."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        begin = self._begin
        self._begin += _OVERHEAD + struct.unpack_from(">i", self._data, begin + _LENGTH_OFFSET)[0]
        data = memoryview(self._data)
        self._batch = _ReadableBatch(batch, data[begin : self._begin], data[self._begin :])
        return self._batch


class _ReadableBatch:
    def __init__(self, batch: Any, data: memoryview, rest: memoryview) -> None:
        self.source: Source | None = None
        self._batch = batch
        self._data = data
        self._rest = rest
        """What was fetched after it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def validate_crc(self) -> bool:
        """True. aiokafka asks before it looks at anything else in a batch.

        Raises:
            _UnreadableError: the bytes are not those that the checksum was made from.
        """
        if not self._batch.validate_crc():
            # What has changed may be the number of its offsets: the first one of the next batch, if fetched, counts.
            following = struct.unpack_from(">q", self._rest)[0] if len(self._rest) >= _OVERHEAD else None
            raise self._unreadable("its checksum is wrong: it was changed after it was stored", following)
        return True

    def __iter__(self) -> Iterator[Any]:
        try:
            if self._data[_MAGIC_OFFSET] < _BATCH_MAGIC:
                check_message(self._data)
                yield from self._batch
            elif not self._batch.attributes & _CODECS and len(self._data) <= LONGEST_RECORD_BYTES:
                yield from _records_of(self._batch, self._data)
            else:
                self.source = source_of(self._data)
                for part in slices(self._data, self.source):
                    yield from _records_of(DefaultRecordBatch(part), memoryview(part))
        except UnpackError as error:
            raise self._unreadable(error.args[0]) from error
        except CorruptRecordException as error:
            raise self._unreadable("a record does not have Kafka's format") from error

    def _unreadable(self, why: str, following: int | None = None) -> _UnreadableError:
        # Only the next offset is known for a message in an old format.
        following = following or self._batch.next_offset
        return _UnreadableError(Unreadable(getattr(self._batch, "base_offset", following - 1), following, why))


def _records_of(batch: Any, data: memoryview) -> Iterator[Any]:
    """The records of a batch that is not compressed."""
    read = 0
    try:
        for record in batch:
            yield record
            read += 1
    except UnicodeDecodeError:
        yield from islice(_LenientBatch(data), read, None)


def read_all_batches() -> None:
    """Make all consumers of aiokafka in this process read in this way. May be called again."""
    fetcher.MemoryRecords = ReadableRecords
    fetcher.FetchResult = Result
