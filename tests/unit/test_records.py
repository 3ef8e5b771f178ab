"""Records: what they weigh, and what tells one from another."""

import zlib
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.records import Anchor, Partition, StoredRecord, anchor_of, record_crc, record_size
from tests.support.builders import record

BYTES = st.none() | st.binary(max_size=6)
HEADERS = st.lists(st.tuples(st.text(max_size=3), BYTES), max_size=3)
DIFFERENT = [
    record(b"ab", key=b"c"),
    record(b"a", key=b"bc"),
    record(b"abc", key=b""),
    record(b"abc", key=None),
    record(b"", key=b"abc"),
    record(None, key=b"abc"),
    record(None, key=None),
    record(b"", key=b""),
    record(b"ab", key=b"c", headers=(("h", None),)),
    record(b"ab", key=b"c", headers=(("h", b""),)),
    record(b"ab", key=b"c", headers=(("", b"h"),)),
    record(b"ab", key=b"c", headers=(("h", b""), ("h", b""))),
]


def test_partitions_sort_by_topic_and_then_number() -> None:
    assert sorted([Partition("b", 0), Partition("a", 10), Partition("a", 2)]) == [("a", 2), ("a", 10), ("b", 0)]
    assert str(Partition("video-events", 3)) == "video-events/3"


def test_a_record_weighs_its_headers_too() -> None:
    headers = (("trace", b"12345"), ("empty", None))
    assert record_size(record(b"ab", key=b"c", headers=headers)) == 3 + 10 + 5


@pytest.mark.parametrize(
    ("key", "value", "size"), [(b"ab", b"cde", 5), (None, b"x", 1), (b"x", None, 1), (None, None, 0)]
)
def test_a_record_weighs_its_key_and_its_value(key: bytes | None, value: bytes | None, size: int) -> None:
    assert record_size(record(value, key=key)) == size


def test_no_part_of_a_record_runs_into_the_next_and_null_is_not_empty() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert record_crc(one) != record_crc(other), (one, other)


@given(value=BYTES, key=BYTES, headers=HEADERS)
def test_the_crc_fits_bigint_and_depends_on_nothing_but_key_value_and_headers(
    value: Any, key: Any, headers: Any
) -> None:
    one = record(value, 1, key=key, headers=tuple(headers))
    other = StoredRecord("elsewhere", 9, 8, 7, key, value, headers)
    assert 0 <= record_crc(one) == record_crc(other) < 2**32


def test_the_crc_is_the_one_that_stored_anchors_have() -> None:
    length_and_bytes = (-1).to_bytes(8, "big", signed=True) + (1).to_bytes(8, "big") + b"v"
    assert record_crc(record(b"v")) == zlib.crc32(length_and_bytes)


def test_an_anchor_is_offset_timestamp_and_crc() -> None:
    item = record(b"v", 7, timestamp=-9)
    assert anchor_of(item) == Anchor(7, -9, record_crc(item))
