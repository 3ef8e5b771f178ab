"""Records whose header names are not UTF-8, which Kafka lets anybody write, and which aiokafka cannot read.

Its decoder raises out of `getmany`, so that one record would end the consumer, again after each start. Kafka's own
client replaces what it cannot decode. Here each undecodable byte of a name becomes a lone surrogate, which encodes back
into the byte (PEP 383): a dead letter keeps the name as it was sent.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_OFFSET = 8
_OVERHEAD = 12
"""Bytes before a batch's own length counts: base offset and length. Source: Kafka documentation, "Record Batch"."""


class _Names(bytearray):
    """A buffer from which any bytes can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Names(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):
    """aiokafka's decoder in Python, slow, on such a buffer."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Names(self._buffer)


class ReadableRecords:
    """What one fetch brought of one partition: aiokafka's fast decoder, and the lenient one where that fails."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records = MemoryRecords(data)
        self._begin = 0

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
        return _ReadableBatch(batch, memoryview(self._data)[begin : self._begin])


class _ReadableBatch:
    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from islice(_LenientBatch(self._data), read, None)


def read_any_header_name() -> None:
    """Make aiokafka's consumers of this process read any header name. May be called again."""
    fetcher.MemoryRecords = ReadableRecords
