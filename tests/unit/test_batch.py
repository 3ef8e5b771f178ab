"""Batches: records and positions travel together, and two halves do what the whole does."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.records import Partition, Span, anchor_of, record_size
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from tests.support.builders import record, video

A, B, C = Partition("user-events", 3), Partition("video-events", 0), Partition("video-events", 1)
OFFSETS = st.fixed_dictionaries({part: st.sets(st.integers(10, 40), max_size=12) for part in (A, B, C)})


DECODE = decoder(DEFAULT_TOPICS, 10**6)


def batch_of(offsets: dict[Partition, set[int]], gap: int = 0) -> Batch:
    """A batch of these offsets, every third of them poison; all partitions were read from 10 to 41 and the gap."""
    batch = Batch(7, DECODE)
    last = {}
    for partition, numbers in offsets.items():
        for number in sorted(numbers):
            value = video("created", number) if number % 3 else b"poison"
            last[partition] = record(value, number, topic=partition.topic, partition=partition.number)
            batch.add([last[partition]], [DECODE(last[partition])])
    batch.extend({partition: Span(10, 41 + gap) for partition in offsets}, last)
    return batch


def places(batch: Batch) -> list[tuple[Partition, int]]:
    """Where the records of the batch stood, in the order in which it holds them."""
    records = [*batch.records, *(rejection.record for rejection in batch.rejections)]
    return [(Partition(record.topic, record.partition), record.offset) for record in records]


@given(offsets=OFFSETS, gap=st.integers(0, 3))
def test_the_spans_of_the_halves_follow_each_other_and_cover_the_whole(
    offsets: dict[Partition, set[int]], gap: int
) -> None:
    whole = batch_of(offsets, gap)
    halves = whole.halves()
    for partition, span in whole.spans.items():
        parts = [half.spans[partition] for half in halves if partition in half.spans]
        assert parts[0]._replace(next=parts[-1].next) == span
        assert all(earlier.next == later.start for earlier, later in pairwise(parts))
    assert set(halves[0].spans) | set(halves[1].spans) == set(whole.spans)


@given(offsets=OFFSETS, gap=st.integers(0, 3))
def test_every_record_is_in_one_half_inside_its_span(offsets: dict[Partition, set[int]], gap: int) -> None:
    whole = batch_of(offsets, gap)
    first, second = whole.halves()
    assert sorted(places(first) + places(second)) == sorted(places(whole))
    for half in (first, second):
        for partition, offset in places(half):
            span = half.spans[partition]
            assert span.start <= offset < span.next


@given(offsets=OFFSETS)
def test_the_first_half_has_half_of_the_records_and_comes_first(offsets: dict[Partition, set[int]]) -> None:
    whole = batch_of(offsets)
    first, second = whole.halves()
    assert (first.count, second.count) == ((whole.count + 1) // 2, whole.count // 2)
    assert sorted(places(first)) + sorted(places(second)) == sorted(places(whole))


@given(offsets=OFFSETS)
def test_each_half_is_anchored_at_its_last_records(offsets: dict[Partition, set[int]]) -> None:
    whole = batch_of(offsets)
    first, second = whole.halves()
    for half in (first, second):
        last = {partition: max(o for p, o in places(half) if p == partition) for partition, _ in places(half)}
        assert {partition: anchor.offset for partition, anchor in half.anchors.items()} == last
    assert first.anchors | second.anchors == whole.anchors


@given(offsets=OFFSETS)
def test_the_halves_keep_epoch_size_fold_and_order(offsets: dict[Partition, set[int]]) -> None:
    whole = batch_of(offsets)
    first, second = whole.halves()
    assert first.epoch == second.epoch == whole.epoch
    assert first.size + second.size == whole.size
    assert set(first.fold.rows["videos"]) | set(second.fold.rows["videos"]) == set(whole.fold.rows["videos"])
    for half in (first, second):
        assert len(half.fold.rows["videos"]) == len({located.event["data"]["video_id"] for located in half.events})
        for partition in half.spans:
            offsets_held = [offset for held, offset in places(half)[: len(half.records)] if held == partition]
            assert offsets_held == sorted(offsets_held)


@given(offsets=OFFSETS)
def test_halving_ends_at_single_records(offsets: dict[Partition, set[int]]) -> None:
    waiting, single = [batch_of(offsets)], []
    while waiting:
        batch = waiting.pop()
        if batch.count > 1:
            waiting += batch.halves()
        else:
            single += places(batch)
    assert sorted(single) == sorted((partition, n) for partition, numbers in offsets.items() for n in numbers)


def test_a_partition_without_records_still_moves_on() -> None:
    batch = Batch(0, DECODE)
    batch.extend({A: Span(3, 9)}, {})
    first, second = batch.halves()
    assert (first.spans, second.spans) == ({}, {A: Span(3, 9)})
    assert second.anchors == {}


def test_a_span_grows_from_poll_to_poll_and_the_last_record_is_the_anchor() -> None:
    batch = Batch(0, DECODE)
    first, last = record(b"x", 4), record(b"y", 6)
    batch.extend({A: Span(3, 5)}, {A: first})
    batch.extend({A: Span(5, 9)}, {A: last})
    batch.extend({A: Span(9, 11), B: Span(0, 2)}, {})
    assert batch.spans == {A: Span(3, 11), B: Span(0, 2)}
    assert batch.positions == {A: 11, B: 2}
    assert batch.anchors == {A: anchor_of(last)}


def test_a_batch_counts_events_rejections_bytes_and_seconds() -> None:
    batch = Batch(0, DECODE)
    records = [record(video("created"), 0, key=b"key"), record(b"poison", 1), record(video("created"), 2)]
    batch.add(records, [DECODE(item) for item in records])
    assert (len(batch.events), len(batch.rejections), batch.count) == (2, 1, 3)
    assert batch.event_types == {"video.created": 2}
    assert batch.size == sum(map(record_size, records))
    assert len(batch.fold.rows["videos"]) == 1
    batch.spend("decode", 0.25)
    batch.spend("decode", 0.5)
    assert batch.seconds == {"decode": 0.75}


def test_a_batch_is_planned_once_and_what_it_holds_stays() -> None:
    batch = batch_of({A: {1, 2, 3}})
    events = batch.events
    videos = set(batch.fold.rows["videos"])
    planned = batch.plan
    assert set(planned.rows["videos"]) == videos
    assert batch.plan is planned
    assert batch.events == events
    assert {key for half in batch.halves() for key in half.plan.rows["videos"]} == videos
    with pytest.raises(ValueError, match="planned"):
        batch.add(batch.records, [DECODE(item) for item in batch.records])
