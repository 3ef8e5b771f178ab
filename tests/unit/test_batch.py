"""Batches: positions and records travel together, and halves do what the whole does."""

from itertools import pairwise

from builders import record, video
from hypothesis import given
from hypothesis import strategies as st

from consumer.batch import Batch
from consumer.decode import Located, Rejection, decode
from consumer.records import Anchor, Partition, Span, anchor_of, record_crc
from consumer.settings import DEFAULT_TOPICS

A, B = Partition("video-events", 0), Partition("video-events", 1)


def filled(offsets: dict[Partition, list[int]], spans: dict[Partition, Span]) -> Batch:
    batch = Batch(0)
    last = {}
    for partition, numbers in offsets.items():
        for number in numbers:
            value = video("created", number) if number % 3 else b"poison"
            item = record(value, number, partition=partition.number)
            verdict = decode(item, DEFAULT_TOPICS, 1_000_000)
            batch.add([verdict if isinstance(verdict, Rejection) else Located(item, verdict)])
            last[partition] = item
    batch.extend(spans, last)
    return batch


def offsets_of(batch: Batch, partition: Partition) -> list[int]:
    return sorted(v.record.offset for v in (*batch.events, *batch.rejections) if v.record.partition == partition.number)


@given(
    offsets=st.fixed_dictionaries({A: st.sets(st.integers(10, 40)), B: st.sets(st.integers(0, 5))}),
    gap=st.integers(0, 3),
)
def test_halves_one_after_the_other_are_the_whole(offsets: dict[Partition, set[int]], gap: int) -> None:
    spans = {A: Span(10, 41 + gap), B: Span(0, 6 + gap)}
    whole = filled({partition: sorted(numbers) for partition, numbers in offsets.items()}, spans)
    first, second = whole.halves()
    assert first.count + second.count == whole.count
    for partition, span in spans.items():
        parts = [half.spans[partition] for half in (first, second) if partition in half.spans]
        assert parts[0].start == span.start
        assert parts[-1].next == span.next
        assert all(before.next == after.start for before, after in pairwise(parts))
        for half in (first, second):
            inside = offsets_of(half, partition)
            assert all(half.spans[partition].start <= offset < half.spans[partition].next for offset in inside)
        assert offsets_of(first, partition) + offsets_of(second, partition) == sorted(offsets[partition])
    if whole.count > 1:
        assert max(first.count, second.count) < whole.count


def test_a_span_grows_from_poll_to_poll_and_the_last_record_is_the_anchor() -> None:
    batch = Batch(0)
    first, last = record(b"x", 4), record(b"y", 6)
    batch.extend({A: Span(3, 5)}, {A: first})
    batch.extend({A: Span(5, 9)}, {A: last})
    batch.extend({B: Span(0, 2)}, {})
    assert batch.positions == {A: 9, B: 2}
    assert batch.anchors == {A: anchor_of(last)}


def test_the_crc_tells_null_from_empty_and_one_part_from_the_next() -> None:
    records = [
        record(b"ab", key=b"c"),
        record(b"a", key=b"bc"),
        record(b"", key=None),
        record(None, key=b""),
        record(b"ab", key=b"c", headers=(("h", None),)),
        record(b"ab", key=b"c", headers=(("h", b""),)),
    ]
    assert len({record_crc(item) for item in records}) == len(records)
    assert anchor_of(record(b"v", 7, timestamp=9)) == Anchor(7, 9, record_crc(record(b"v")))
