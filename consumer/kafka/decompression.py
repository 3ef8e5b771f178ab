"""Decompression in chunks: memory holds one chunk at a time."""

import gzip
import io
import struct
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import cramjam
import lz4.frame
from aiokafka.errors import CorruptRecordException
from backports import zstd

CHUNK_BYTES = 1_048_576
LARGEST_PIECE_BYTES = 134_217_728
"""The largest size of what can only be decompressed whole: snappy without the framing of Java's library, and messages
of old formats.
"""

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_LENGTH = struct.Struct(">i")


class UnpackError(CorruptRecordException):
    """Records cannot be decompressed. The message says why, without their contents."""


class Packed:
    """Compressed bytes, read in chunks.

    Only one object in a thread has a decompressor, because a decompressor may be large. When another one is read in
    between, this one begins again and skips what it has already returned. That is rare.
    """

    _reading = threading.local()

    def __init__(self, codec: int, data: memoryview) -> None:
        self._codec = codec
        self._data = data
        self._chunks: Iterator[bytes] | None = None
        self._given = 0
        self._is_over = False

    def read(self) -> bytes:
        """The next chunk, at most CHUNK_BYTES; empty at the end.

        Raises:
            UnpackError: the data is broken, or too large.
        """
        if self._is_over:
            return b""
        try:
            if self._chunks is None:
                self._begin()
            chunk = next(self._chunks or iter(()), b"")
        except (MemoryError, UnpackError):
            raise
        except Exception as error:
            # Each library raises errors of its own, or built-in ones.
            raise UnpackError(f"it cannot be decompressed ({type(error).__name__})") from error
        self._given += 1
        self._is_over = not chunk
        return chunk

    def _begin(self) -> None:
        other = getattr(self._reading, "packed", lambda: None)()
        if other is not None:
            other._chunks = None  # noqa: SLF001 - of the same class
        self._reading.packed = weakref.ref(self)
        self._chunks = _CHUNKS[self._codec](self._data)
        for _ in range(self._given):
            next(self._chunks, None)


def _from_file(opened: Callable[[io.BytesIO], io.BufferedIOBase], data: memoryview) -> Iterator[bytes]:
    return iter(partial(opened(io.BytesIO(data)).read, CHUNK_BYTES), b"")


def _uncompressed(data: memoryview) -> Iterator[bytes]:
    for begin in range(0, len(data), CHUNK_BYTES):
        yield bytes(data[begin : begin + CHUNK_BYTES])


def _snappy(data: memoryview) -> Iterator[bytes]:
    """Snappy with the framing of Java's library, which Kafka's own clients use, or in one piece."""
    at = _XERIAL_HEADER_BYTES if data[: len(_XERIAL)] == _XERIAL else None
    if at is None:
        yield from _snappy_block(data)
        return
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if not 0 <= length <= len(data) - at:
            raise UnpackError("a snappy block is longer than the batch")
        yield from _snappy_block(data[at : at + length])
        at += length


def _snappy_block(data: memoryview) -> Iterator[bytes]:
    # The library reserves at once the size that the data claims to have.
    size = cramjam.snappy.decompress_raw_len(data)
    if size > LARGEST_PIECE_BYTES:
        raise too_large(size)
    yield from _uncompressed(memoryview(cramjam.snappy.decompress_raw(data)))


def too_large(size: int) -> UnpackError:
    """The error for a piece of so many bytes."""
    return UnpackError(
        f"a part that can only be unpacked as a whole has {size:,} bytes, and may have {LARGEST_PIECE_BYTES:,}"
    )


_CHUNKS: dict[int, Callable[[memoryview], Iterator[bytes]]] = {
    0: _uncompressed,
    1: partial(_from_file, lambda data: gzip.GzipFile(fileobj=data)),
    2: _snappy,
    3: partial(_from_file, lz4.frame.LZ4FrameFile),
    4: partial(_from_file, zstd.ZstdFile),
}
