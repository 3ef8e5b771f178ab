"""Unpacking record batches in slices, so that memory does not depend on the size of a batch.

A batch of a few kilobytes may unpack to gigabytes, so it is never unpacked whole. Records are taken from the
decompressor in slices of whole records, and each slice becomes an uncompressed batch of its own.
"""

import struct
from collections.abc import Iterator

from reelsync.consumer.records import CUT_VALUE_BYTES

from .decompression import LARGEST_PIECE_BYTES, Packed, UnpackError, too_large

SLICE_BYTES = 1_048_576
"""The bytes of records that are unpacked at once."""
LONGEST_RECORD_BYTES = 9_437_184
"""A longer record (with key and headers) is not read whole."""
HEADER = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES_OFFSET, _COUNT_OFFSET = 21, 57
_MESSAGE_ATTRIBUTES_OFFSET = 17
_KEY_OFFSETS = {0: 18, 1: 26}
"""By format."""
_CODECS = 0x07
_VARINT_BYTES = 10
_MORE, _REST = 0x80, 0x7F
"""In each byte of a number: whether another follows, and the rest."""
_KEPT_KEY_BYTES = 65_536
_NO_HEADERS = b"\x00"
_NO_KEY = b"\x01"


def slices(batch: memoryview, source: "Source | None" = None) -> Iterator[bytes]:
    """The batch as uncompressed batches of about SLICE_BYTES each, with every record in order.

    A record longer than LONGEST_RECORD_BYTES comes without headers, and its value is cut to CUT_VALUE_BYTES. So it
    looks the same each time it is read, and for every compression. Its rest is skipped when the next slice is asked
    for. The holder of the `source` may skip it earlier, because this may take seconds.

    Raises:
        UnpackError: the batch is broken, or can only be unpacked whole and is too large for that.
    """
    (attributes,) = struct.unpack_from(">h", batch, _ATTRIBUTES_OFFSET)
    (left,) = struct.unpack_from(">i", batch, _COUNT_OFFSET)
    header = bytearray(batch[: HEADER.size])
    struct.pack_into(">h", header, _ATTRIBUTES_OFFSET, attributes & ~_CODECS)
    source = source or source_of(batch)
    while left or source.fill(1):
        if source.fill(SLICE_BYTES):
            end, count, length = _whole_records(source.held, left)
        else:
            end, count, length = len(source.held), left, 0
        is_cut = not count and left > 0 and length > LONGEST_RECORD_BYTES
        if not count and not is_cut:
            if left and source.fill(len(source.held) + 1):
                continue
            raise UnpackError("it goes on after its last record")
        count += is_cut
        left -= count
        struct.pack_into(">i", header, _COUNT_OFFSET, count)
        yield bytes(header) + (_cut(source, length) if is_cut else source.take(end))


def source_of(batch: memoryview) -> "Source":
    """The source of the batch's records."""
    (attributes,) = struct.unpack_from(">h", batch, _ATTRIBUTES_OFFSET)
    return Source(Packed(attributes & _CODECS, batch[HEADER.size :]))


def check_message(message: memoryview) -> None:
    """Check that a message of an old format does not unpack to too many bytes.

    Raises:
        UnpackError: it does.
    """
    if not (codec := message[_MESSAGE_ATTRIBUTES_OFFSET] & _CODECS):
        return
    at = _KEY_OFFSETS[message[_MESSAGE_ATTRIBUTES_OFFSET - 1]]
    for _ in range(2):  # the key, and the value that holds the messages
        (length,) = struct.unpack_from(">i", message, at)
        begin, at = at + 4, at + 4 + max(0, length)
    packed, size = Packed(codec, message[begin:at]), 0
    while chunk := packed.read():
        size += len(chunk)
        if size > LARGEST_PIECE_BYTES:
            raise too_large(size)


class Source:
    """Unpacked bytes that were not taken yet."""

    def __init__(self, packed: Packed) -> None:
        self.held = bytearray()
        self.owed = 0
        """The number of bytes to skip."""
        self._packed = packed

    def fill(self, size: int) -> bool:
        """Read until at least `size` bytes are held. Whether there are as many."""
        self.pass_over()
        return self._fill(size)

    def _fill(self, size: int) -> bool:
        while len(self.held) < size and (chunk := self._packed.read()):
            self.held += chunk
        return len(self.held) >= size

    def take(self, size: int) -> bytes:
        """Take the next bytes, which must be held."""
        taken = bytes(memoryview(self.held)[:size])
        del self.held[:size]
        return taken

    def pass_over(self) -> None:
        """Skip the bytes that are owed, without holding them.

        Raises:
            UnpackError: there are not as many.
        """
        while self.owed > len(self.held):
            self.owed -= len(self.held)
            self.held.clear()
            if not self._fill(1):
                raise UnpackError("it ends within a record")
        del self.held[: self.owed]
        self.owed = 0


def _whole_records(held: bytearray, most: int) -> tuple[int, int, int]:
    """Where the last whole record that is held ends, how many there are, and the length of the next one, if known."""
    end = count = length = 0
    try:
        while count < most:
            length, begin = _varint(held, end)
            if length < 0:
                raise UnpackError("a record has a length below zero")
            if begin + length > len(held):
                return end, count, length
            end, count = begin + length, count + 1
    except IndexError:
        pass
    return end, count, 0


def _cut(source: Source, length: int) -> bytes:
    """The next record, of this length, in a shorter form: its begin, its key if that is short, part of its value."""
    source.fill(CUT_VALUE_BYTES + _KEPT_KEY_BYTES + 6 * _VARINT_BYTES)
    held = source.held
    try:
        _, begin = _varint(held, 0)
        at = begin
        for _ in range(3):  # its attributes, and how far its time and its offset are from the first of the batch
            _, at = _varint(held, at)
        record, (key_length, key_at) = held[begin:at], _varint(held, at)
        if key_length <= _KEPT_KEY_BYTES:
            record += held[at : (at := key_at + max(0, key_length))]
            _, at = _varint(held, at)
        else:
            record += _NO_KEY
            at = key_at
    except IndexError:
        raise UnpackError("it ends within a record") from None
    record += _encoded(CUT_VALUE_BYTES) + held[at : at + CUT_VALUE_BYTES] + _NO_HEADERS
    source.owed = begin + length
    return _encoded(len(record)) + bytes(record)


def _varint(held: bytearray, at: int) -> tuple[int, int]:
    """A number, and where it ends. Source: Kafka documentation, "Record": zigzag, as in Protocol Buffers.

    Raises:
        IndexError: it is not held whole.
    """
    number = held[at]
    if number < _MORE:
        return (number >> 1) ^ -(number & 1), at + 1
    number &= _REST
    for place in range(1, _VARINT_BYTES):
        byte = held[at + place]
        number |= (byte & _REST) << (7 * place)
        if byte < _MORE:
            return (number >> 1) ^ -(number & 1), at + place + 1
    raise UnpackError("a number is too long")


def _encoded(number: int) -> bytes:
    """The encoding of a number of 0 or more."""
    number <<= 1
    encoded = bytearray()
    while number & ~_REST:
        encoded.append(number & _REST | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
