"""Record batches made by hand: compressed as they are written, so that a small one may unpack to gigabytes."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import cramjam
import lz4.frame
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.record.util import calc_crc32c
from backports import zstd

from reelsync.consumer.settings import Settings

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4, "snappy in one piece": 2}
_SPACES = b" " * 1_048_576
_HEADER = struct.Struct(">qiibIhiqqqhii")
_FROM_CRC, _CRC_OFFSET = 21, 17
_TIME = 1_767_600_000_000


class Given(NamedTuple):
    """A record: its key, its value, and so many spaces at the end of the value, which JSON allows."""

    key: bytes | None
    value: bytes | None
    spaces: int = 0
    headers: bytes = b"\x00"
    """Their number, and each of them, encoded."""


def packed(records: Iterable[Given], codec: str, base_offset: int = 0, **fields: int) -> bytes:
    """One batch. `fields`: `attributes` beside the codec, `producer_id`, `producer_epoch`, `sequence`."""
    pack, count = _Packer(codec), 0
    for count, record in enumerate(records, 1):
        for part in _encoded(record, count - 1):
            pack.write(part)
    content = pack.finish()
    attributes = CODECS[codec] | fields.get("attributes", 0)
    producer = (fields.get("producer_id", -1), fields.get("producer_epoch", -1), fields.get("sequence", -1))
    header = _HEADER.pack(
        base_offset, _HEADER.size - 12 + len(content), 0, 2, 0, attributes, count - 1, _TIME, _TIME, *producer, count
    )
    batch = bytearray(header + content)
    struct.pack_into(">I", batch, _CRC_OFFSET, calc_crc32c(bytes(batch[_FROM_CRC:])))
    return bytes(batch)


async def send_packed(settings: Settings, topic: str, batch: bytes, partition: int = 0) -> int:
    """Send a batch as it is; the offset of its first record."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, max_request_size=64 << 20)
    await producer.start()
    try:
        builder: Any = producer.create_batch()
        builder.append(key=None, value=b"", timestamp=None)
        builder._build()
        builder._buffer = bytearray(batch)
        sent = await (await producer.send_batch(builder, topic, partition=partition))
        return int(sent.offset)
    finally:
        await producer.stop()


async def allow_large_batches(settings: Settings, topic: str) -> None:
    """Let the topic have batches of 64 MiB; the embedded broker has no limit."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    try:
        large = {"max.message.bytes": str(64 << 20)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=large)])
    finally:
        await admin.close()


def varint(number: int) -> bytes:
    """As in records: zigzag, seven bits in a byte."""
    left = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while left > 0x7F:
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*encoded, left])


def _encoded(record: Given, delta: int) -> Iterator[bytes]:
    key = varint(-1) if record.key is None else varint(len(record.key)) + record.key
    if record.value is None:
        value = varint(-1)
    else:
        value = varint(len(record.value) + record.spaces) + record.value
    body = b"\x00\x00" + varint(delta) + key + value
    yield varint(len(body) + record.spaces + len(record.headers)) + body
    for _ in range(record.spaces // len(_SPACES)):
        yield _SPACES
    yield _SPACES[: record.spaces % len(_SPACES)]
    yield record.headers


class _Gzip:
    """As gzip.GzipFile, but spaces are compressed once: gigabytes of them would take longer than the rest of a test."""

    def __init__(self, out: io.BytesIO) -> None:
        self._out = out
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._crc = self._length = 0
        self._spaces = b""
        out.write(b"\x1f\x8b\x08" + bytes(7))

    def write(self, part: bytes) -> None:
        self._crc, self._length = zlib.crc32(part, self._crc), self._length + len(part)
        if part is not _SPACES:
            self._out.write(self._deflate.compress(part))
            return
        # After a full flush, what follows refers to nothing before it, so it may follow again.
        self._out.write(self._deflate.flush(zlib.Z_FULL_FLUSH))
        self._spaces = self._spaces or self._deflate.compress(part) + self._deflate.flush(zlib.Z_FULL_FLUSH)
        self._out.write(self._spaces)

    def close(self) -> None:
        self._out.write(self._deflate.flush() + struct.pack("<II", self._crc, self._length % (1 << 32)))


class _Packer:
    """Compresses what is written; the parts of snappy are blocks of a megabyte."""

    def __init__(self, codec: str) -> None:
        self._out = io.BytesIO()
        self._codec = codec
        self._file: Any = self._out
        if codec == "gzip":
            self._file = _Gzip(self._out)
        elif codec == "lz4":
            self._file = lz4.frame.LZ4FrameFile(self._out, mode="wb", block_linked=False)
        elif codec == "zstd":
            self._file = zstd.ZstdFile(self._out, mode="w")
        elif codec == "snappy":
            self._out.write(b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1))

    def write(self, part: bytes) -> None:
        if self._codec == "snappy":
            block = bytes(cramjam.snappy.compress_raw(part))
            self._out.write(struct.pack(">i", len(block)) + block)
        else:
            self._file.write(part)

    def finish(self) -> bytes:
        if self._file is not self._out:
            self._file.close()
        content = self._out.getvalue()
        return bytes(cramjam.snappy.compress_raw(content)) if self._codec == "snappy in one piece" else content
