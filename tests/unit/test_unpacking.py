"""Batches are unpacked in slices: the records are those that aiokafka's own decoder finds, and memory is bounded."""

import tracemalloc
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given, settings
from hypothesis import strategies as st

from reelsync.consumer.kafka.decompression import UnpackError
from reelsync.consumer.kafka.unpacking import LONGEST_RECORD_BYTES, slices
from reelsync.consumer.records import CUT_VALUE_BYTES
from tests.support.packed_batches import CODECS, Given, packed, varint

MIB = 1 << 20
NO_HEADERS = varint(0)
RECORDS = st.lists(
    st.builds(
        Given,
        st.none() | st.binary(max_size=50),
        st.none() | st.binary(max_size=2_000),
        st.sampled_from([0, 0, 0, 1, 400_000, MIB, 3 * MIB]),
        st.just(NO_HEADERS),
    ).map(lambda record: record if record.value is not None else record._replace(spaces=0)),
    min_size=1,
    max_size=12,
)


def found(batch: bytes) -> list[tuple[Any, ...]]:
    return [facts(record) for part in slices(memoryview(batch)) for record in DefaultRecordBatch(part)]


def facts(record: Any) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, record.headers


@settings(max_examples=60)
@given(RECORDS, st.sampled_from(list(CODECS)), st.sampled_from([0, 8]))
def test_slices_hold_what_the_whole_batch_holds(records: list[Given], codec: str, timestamp_type: int) -> None:
    batch = packed(records, codec, base_offset=1_000, attributes=timestamp_type)
    assert found(batch) == [facts(record) for record in DefaultRecordBatch(batch)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "giant",
    [
        Given(b"key", b"{", 40 * MIB),
        Given(b"k" * (40 * MIB), b"value"),
        Given(b"key", b"", 0, b"\x02\x02h" + varint(40 * MIB) + bytes(40 * MIB)),
        Given(b"key", None, 0, b"\x02\x02h" + varint(40 * MIB) + bytes(40 * MIB)),
    ],
    ids=["value", "key", "headers", "headers of a tombstone"],
)
def test_a_giant_is_cut_and_its_neighbours_are_whole(giant: Given, codec: str) -> None:
    before, after = (1_000, b"a", b"before"), (1_002, b"b", b"after")
    batch = packed([Given(b"a", b"before"), giant, Given(b"b", b"after")], codec, base_offset=1_000)
    first, cut, last = found(batch)
    assert (first[0], *first[2:4]) == before
    assert (last[0], *last[2:4]) == after
    assert (cut[0], len(cut[3]), cut[4]) == (1_001, CUT_VALUE_BYTES, [])
    assert cut[2] == (None if len(giant.key or b"") > 10 else giant.key)


def test_a_record_at_the_limit_is_whole_and_one_beyond_is_cut() -> None:
    overhead = 10  # attributes, two deltas, a null key, the length of the value, the number of headers
    at_limit = Given(None, b"", LONGEST_RECORD_BYTES - overhead + 1)
    (whole,) = found(packed([at_limit], "zstd"))
    assert len(whole[3]) == at_limit.spaces
    (cut,) = found(packed([at_limit._replace(spaces=at_limit.spaces + 1)], "zstd"))
    assert len(cut[3]) == CUT_VALUE_BYTES


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec not in {"none", "snappy in one piece"}])
@pytest.mark.parametrize("many", [True, False], ids=["many", "one"])
def test_memory_follows_the_slice_not_the_batch(codec: str, many: bool) -> None:
    records = [Given(b"key", b"value", 500_000)] * 500 if many else [Given(b"key", b"value", 250 * MIB)]
    batch = packed(records, codec)
    tracemalloc.start()
    count = sum(1 for part in slices(memoryview(batch)) for _ in DefaultRecordBatch(part))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == len(records)
    assert peak < 40 * MIB


@pytest.mark.parametrize("codec", list(CODECS))
def test_what_is_broken_says_so(codec: str) -> None:
    batch = packed([Given(b"key", b"value" * 100, 3 * MIB)] * 3, codec)
    with pytest.raises(UnpackError):
        found(batch[:-30])


@pytest.mark.parametrize("count", [2, 4], ids=["fewer", "more"])
def test_a_wrong_number_of_records_is_not_believed(count: int) -> None:
    batch = bytearray(packed([Given(b"key", b"value", 3 * MIB)] * 3, "zstd"))
    batch[57:61] = count.to_bytes(4, "big")
    with pytest.raises(CorruptRecordException):
        found(bytes(batch))


def test_what_can_only_be_unpacked_whole_has_a_limit() -> None:
    batch = packed([Given(b"key", b"value", 150 * MIB)], "snappy in one piece")
    with pytest.raises(UnpackError, match="can only be unpacked as a whole"):
        found(batch)


def test_batches_read_by_turns_come_out_whole() -> None:
    batches = [packed([Given(b"%d" % n, b"", MIB)] * 5, "zstd") for n in range(3)]
    by_turns = zip(*(slices(memoryview(batch)) for batch in batches), strict=True)
    keys = [record.key for parts in by_turns for part in parts for record in DefaultRecordBatch(part)]
    assert sorted(keys) == sorted([b"0", b"1", b"2"] * 5)
