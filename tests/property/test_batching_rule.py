"""The rule that batches follow, against logs of any shape: nothing is skipped, and nobody waits for too long."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import BatchSettings
from reelsync.consumer.source.batching import BACKLOG_RECORDS, PACE_SECONDS, ROTATION_SECONDS, BatchSize, Pace, Turns

MOST = 8
partitions = st.integers(1, MOST)
shares = st.lists(st.integers(0, 40), min_size=MOST, max_size=MOST)

long_shares = st.lists(st.integers(0, 600), min_size=MOST, max_size=MOST)


@dataclass
class Log:
    """Partitions of numbered records, read as aiokafka does: a fetch fills buffers, and polls empty them.

    A fetch asks for partitions that are polled and have nothing in their buffer, as soon as all buffers are empty or
    0.1 seconds old. It brings of each at most three quarters of what it may bring, and of another one first each time;
    only it tells of new records.
    """

    ends: dict[Partition, int]
    fetch_records: int
    fetches: int = 0
    fetched_at: float = -1.0
    positions: dict[Partition, int] = field(default_factory=dict)
    told: dict[Partition, int] = field(default_factory=dict)
    buffered: dict[Partition, int] = field(default_factory=dict)
    taken: dict[Partition, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.positions = dict.fromkeys(self.ends, 0)
        self.buffered = dict.fromkeys(self.ends, 0)
        self.taken = {partition: [] for partition in self.ends}

    def lags(self) -> dict[Partition, int]:
        return {partition: end - self.positions[partition] for partition, end in self.told.items()}

    def poll(self, chosen: Sequence[Partition], room: int, now: float) -> int:
        """Read at most `room` records; how many there were."""
        left = room
        empty = [partition for partition in chosen if not self.buffered[partition]]
        if empty and (now - self.fetched_at >= 0.1 or not any(self.buffered.values())):
            self.fetched_at = now
            self._fetch(empty)
        for partition in chosen:
            count = min(left, self.buffered[partition])
            start = self.positions[partition]
            self.taken[partition] += range(start, start + count)
            self.positions[partition] += count
            self.buffered[partition] -= count
            left -= count
        return room - left

    def _fetch(self, chosen: Sequence[Partition]) -> None:
        budget = self.fetch_records
        self.fetches += 1
        first = self.fetches % len(chosen)
        for partition in (*chosen[first:], *chosen[:first]):
            self.told[partition] = self.ends[partition]
            most = min(budget, (self.fetch_records * 3 + 3) // 4)
            self.buffered[partition] = min(most, self.ends[partition] - self.positions[partition])
            budget -= self.buffered[partition]


def log_of(count: int, backlogs: Sequence[int], fetch_records: int) -> Log:
    return Log({Partition("t", n): backlogs[n] * 200 for n in range(count)}, fetch_records)


@given(partitions, shares, st.integers(1, 6_000), st.integers(50, 700), st.lists(st.booleans(), max_size=50))
def test_every_record_is_read_once_and_in_order(
    count: int, backlogs: list[int], fetch_records: int, room: int, full: list[bool]
) -> None:
    log, turns, now = log_of(count, backlogs, fetch_records), Turns(), 0.0
    waiting = sum(log.ends.values())
    while waiting:
        read = log.poll(turns.choose(log.ends.keys(), log.lags(), now), room, now)
        turns.took(read, room)
        if full and full.pop():
            turns.end()
        waiting -= read
        now += 0.001 if read else 0.2
        assert now < 10_000, "it reads no more"
    assert log.taken == {partition: list(range(end)) for partition, end in log.ends.items()}


@settings(max_examples=150)
@given(partitions, long_shares, st.integers(3_000, 6_000), st.floats(0.0001, 0.1), st.data())
def test_every_partition_is_served_within_the_rotation(
    count: int, backlogs: list[int], fetch_records: int, poll_seconds: float, data: st.DataObject
) -> None:
    """However often batches are full, and whatever arrives meanwhile, if a fetch takes less time than a turn."""
    log, turns, now, room = log_of(count, backlogs, fetch_records), Turns(), 0.0, 500
    served = dict.fromkeys(log.ends, 0.0)
    for poll in range(200):
        before = dict(log.positions)
        turns.took(log.poll(turns.choose(log.ends.keys(), log.lags(), now), room, now), room)
        now += poll_seconds
        for partition, since in served.items():
            if log.positions[partition] != before[partition] or before[partition] == log.ends[partition]:
                served[partition] = now
            assert now - since <= ROTATION_SECONDS + 3 * count * poll_seconds, f"{partition} waits since {since}"
        if poll % 7 == 0:
            grown = data.draw(st.sampled_from(sorted(log.ends)))
            log.ends[grown] += data.draw(st.integers(0, 4_000))
            if data.draw(st.booleans()):
                turns.end()


@given(st.integers(2, MOST), st.integers(BACKLOG_RECORDS + 1, 20_000), st.integers(1_000, 6_000))
def test_partitions_with_a_backlog_are_read_one_by_one(count: int, backlog: int, fetch_records: int) -> None:
    log, turns = Log({Partition("t", n): backlog for n in range(count)}, fetch_records), Turns()
    log.told = dict(log.ends)
    runs: list[Partition] = []
    while sum(log.lags().values()):
        before = dict(log.positions)
        turns.took(log.poll(turns.choose(log.ends.keys(), log.lags(), 0.0), 500, 0.0), 500)
        read = [partition for partition, position in log.positions.items() if position != before[partition]]
        runs += [partition for partition in read if partition not in runs[-1:]]
    assert runs == list(log.ends)


def test_without_a_backlog_all_are_read_together() -> None:
    log, turns = Log({Partition("t", n): BACKLOG_RECORDS for n in range(4)}, 4_000), Turns()
    log.told = dict(log.ends)
    assert turns.choose(log.ends.keys(), log.lags(), 0.0) == list(log.ends)


def test_one_with_few_records_is_read_beside_the_one_in_turn_and_one_with_none_is_asked_once() -> None:
    busy, few, none = (Partition("t", n) for n in range(3))
    lags = {busy: 100_000, few: 10, none: 0}
    turns = Turns()
    assert set(turns.choose(lags, lags, 0.0)) == {busy, few, none}
    turns.took(500, 500)
    assert set(turns.choose(lags, lags, 0.001)) == {busy, few}
    turns.took(400, 500)
    assert set(turns.choose(lags, lags, 0.002)) == {busy, few}
    turns.took(500, 500)
    turns.end()
    turns.took(400, 500)
    assert set(turns.choose(lags, lags, 0.003)) == {busy, few, none}


@dataclass
class Holding:
    """A batch, as the rule sees it."""

    count: int
    size: int
    row_count: int


counts = st.integers(0, 30_000)


@given(counts, st.integers(0, 20 * 2**20), counts, st.integers(1, 10**6))
def test_there_is_always_room_for_one_record_and_never_for_more_than_the_limits(
    count: int, size: int, row_count: int, record_bytes: int
) -> None:
    limits = BatchSettings()
    held, rule = Holding(count, size, row_count), BatchSize(limits)
    rule.took(1, record_bytes)
    room = rule.room(held)
    assert room >= 1
    if not rule.is_full(held):
        assert count + room <= limits.max_records
        assert room == 1 or size + room * record_bytes <= limits.max_bytes


@given(st.integers(0, 20_000), st.integers(0, 20_000), st.floats(0, 3), st.integers(0, 100_000))
def test_a_batch_is_written_when_it_holds_what_was_waiting_or_its_time_is_over(
    waiting: int, count: int, seconds: float, lag: int
) -> None:
    rule, held = BatchSize(BatchSettings(linger_ms=1_000)), Holding(count, 0, 0)
    rule.begin(waiting, 5.0)
    left = rule.seconds_left(held, lag, 5.0 + seconds)
    assert (left == 0) == (not lag or count >= waiting or rule.is_full(held) or seconds >= 1)
    assert left <= 1


def test_few_rows_let_a_batch_read_more_records() -> None:
    rule = BatchSize(BatchSettings(max_records=20_000, max_rows=5_000, max_bytes=8_000_000))
    assert not rule.is_full(Holding(19_000, 19_000 * 400, 4_000))
    assert rule.is_full(Holding(5_000, 5_000 * 400, 5_000))
    assert rule.is_full(Holding(1_000, 1_000 * 2_000, 1_000)), "rows of 2 kB, all new"
    assert not rule.is_full(Holding(1_000, 1_000 * 2_000, 100))


@given(st.floats(300, 5_000))
def test_records_that_come_fast_are_gathered(rate: float) -> None:
    pace, now = Pace(), 0.0
    for _ in range(200):
        now += max(pace.seconds_left(0, now), 1 / rate)
        pace.took(round(rate * max(1 / rate, PACE_SECONDS)), now)
    assert rate < 340 or pace.seconds_left(0, now) == pytest.approx(PACE_SECONDS)
    assert pace.seconds_left(1, now) == 0, "not while more is known to be there"


@given(st.floats(0.1, 200))
def test_records_that_come_seldom_are_written_at_once(rate: float) -> None:
    pace, now = Pace(), 0.0
    for _ in range(200):
        now += 1 / rate
        pace.took(1, now)
        assert pace.seconds_left(0, now) == 0
