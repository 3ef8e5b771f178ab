"""Record batches, unpacked in slices: memory follows what is read at once, not what a batch unpacks to.

A batch of a few kilobytes may unpack to gigabytes. So it is never unpacked whole. Its records are taken from the
decompressor in slices of whole records, and each slice is a batch of its own that is not compressed.
"""

import struct
from collections.abc import Iterator

from reelsync.consumer.records import CUT_VALUE_BYTES

from .decompression import LARGEST_PIECE_BYTES, Packed, UnpackError, too_large

SLICE_BYTES = 1_048_576
"""Of records that are unpacked at once."""
LONGEST_RECORD_BYTES = 9_437_184
"""A record with more, key and headers included, is not read whole."""
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
    """The batch as batches that are not compressed, of about SLICE_BYTES each, with every record in its order.

    A record longer than LONGEST_RECORD_BYTES comes without headers, its value cut to CUT_VALUE_BYTES. So it looks the
    same each time it is read, however it was compressed. What is left of it is passed over when the next slice is asked
    for, or before, by whoever holds the `source`, for that may take seconds.

    Raises:
        UnpackError: what was compressed is broken, or can only be unpacked whole and is too large for that.
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
            raise UnpackError("it does not end with its last record")
        count += is_cut
        left -= count
        struct.pack_into(">i", header, _COUNT_OFFSET, count)
        yield bytes(header) + (_cut(source, length) if is_cut else source.take(end))


def source_of(batch: memoryview) -> "Source":
    """What the records of the batch are unpacked from."""
    (attributes,) = struct.unpack_from(">h", batch, _ATTRIBUTES_OFFSET)
    return Source(Packed(attributes & _CODECS, batch[HEADER.size :]))


def check_message(message: memoryview) -> None:
    """See that a message of the formats before record batches unpacks to what may be held in memory.

    Raises:
        UnpackError: it does not.
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
    """What was unpacked and not taken yet."""

    def __init__(self, packed: Packed) -> None:
        self.held = bytearray()
        self.owed = 0
        """Bytes to be passed over."""
        self._packed = packed

    def fill(self, size: int) -> bool:
        """Hold at least `size` bytes; whether there are as many."""
        self.pass_over()
        return self._fill(size)

    def _fill(self, size: int) -> bool:
        while len(self.held) < size and (chunk := self._packed.read()):
            self.held += chunk
        return len(self.held) >= size

    def take(self, size: int) -> bytes:
        """The next bytes, which are held."""
        taken = bytes(memoryview(self.held)[:size])
        del self.held[:size]
        return taken

    def pass_over(self) -> None:
        """Pass over what is owed, without holding it.

        Raises:
            UnpackError: there is not as much.
        """
        while self.owed > len(self.held):
            self.owed -= len(self.held)
            self.held.clear()
            if not self._fill(1):
                raise UnpackError("it ends within a record")
        del self.held[: self.owed]
        self.owed = 0


def _whole_records(held: bytearray, most: int) -> tuple[int, int, int]:
    """Where the whole records end that are held, how many there are, and how long the next one is, if that is known."""
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
    """The next record, which is so long, as one that can be held: its begin, its key if that is short, and a part."""
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
    """A number, and where it ends. Source: Kafka documentation, "Record": as in Protocol Buffers, zigzag.

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
    raise UnpackError("a number is longer than numbers are")


def _encoded(number: int) -> bytes:
    """A number that is not below zero."""
    number <<= 1
    encoded = bytearray()
    while number & ~_REST:
        encoded.append(number & _REST | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
