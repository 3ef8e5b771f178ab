"""The rule that batches follow: which partitions are polled next, how much one batch takes, and when it is written.

Pure: what is known of the log, and the time, come in as values. It decides about speed only. Whatever it answers, no
record is left out and none is read before another of its partition.

**With a backlog**, events about the same row should meet in one batch, for the row is then written once. They are in
one partition. So partitions take turns (`Turns`): one that has a backlog is read alone, until nothing of it is known
to be left, the batch is full, or its time is over; then the one that has waited for the longest follows. Partitions
without a backlog do not wait for a turn: they are read along with the one that has it. A batch takes as much as was
waiting when it began, within bounds of records, bytes, rows and time (`BatchSize`).

**Without one**, all partitions are read together, and a batch is written as soon as the database is free. Where records
come so fast that waiting for a moment gathers several of them, they are gathered (`Pace`).
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import BatchSettings

BACKLOG_RECORDS = 2_000
"""A partition with more records than these has a backlog: they are worth a fetch of their own."""
ROTATION_SECONDS = 10.0
"""In this time each partition has its turn, however many there are; writes that take longer come on top."""
PACE_SECONDS = 0.012
"""From one gathering of records to the next. A record waits for at most two of them."""
WORTH_GATHERING = 4
"""Records that must be expected in that time. With fewer, each is written when it comes."""
_POLL_RECORDS = 500
"""Records asked for at once: what is polled is unpacked in one go, about 1 ms."""
_POLL_BYTES = 1_048_576
"""Bytes asked for at once."""
_LEAST_ROWS = 100
"""Rows by which a batch may exceed its limit: how many a record comes to is known only afterwards."""
_READ_FOR_WRITTEN = 4
"""Bytes that a batch may read for each byte that its rows are likely to take."""


class Held(Protocol):
    """What a batch holds so far: records, their bytes, and the rows that they come to."""

    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def row_count(self) -> int: ...


class Turns:
    """Whose turn it is, of the partitions that have a backlog.

    Each other partition has at most one turn before one that waits has its own. A turn ends with what has been fetched
    by then, for to put that aside would take memory for every partition. No turn lasts longer than ROTATION_SECONDS
    divided by the number of partitions.
    """

    def __init__(self) -> None:
        self._in_turn: Partition | None = None
        self._chosen: list[Partition] = []
        self._ends_at = self._must_end_at = 0.0
        self._latest_turns: dict[Partition, int] = {}
        self._turn = 0
        self._has_looked = False
        self._is_drained = True

    def choose(self, reading: Collection[Partition], lags: Mapping[Partition, int], now: float) -> list[Partition]:
        """The partitions to poll.

        Those without known records are asked for news once in a turn, together with the partition in turn: brokers
        answer at once if that has more, and would keep a question about the others alone waiting.

        Args:
            reading: All partitions that can be read.
            lags: Records known to be left of each; a partition that nothing is known of is left out.
            now: Seconds, of any clock that does not go back.
        """
        unread = [partition for partition in self._chosen if partition in reading and lags.get(partition, 1)]
        if unread and not self._is_drained and now < self._must_end_at:
            self._chosen = unread
            return unread
        in_turn = self._in_turn if self._in_turn in reading else None
        if in_turn is None or now >= self._ends_at or not lags.get(in_turn):
            self._begin_turn(reading, lags, now)
        if self._in_turn is None:
            self._chosen = list(reading)
        else:
            least = 1 if self._has_looked else 0
            without_backlog = [p for p in reading if least <= lags.get(p, 1) <= BACKLOG_RECORDS and p != self._in_turn]
            self._chosen = [self._in_turn, *without_backlog]
        return self._chosen

    def took(self, count: int, room: int) -> None:
        """Take note of a poll: records that came, and that there was room for. Fewer have emptied what was fetched."""
        self._has_looked = self._has_looked or (self._is_drained and count > 0)
        self._is_drained = count < room

    def end(self) -> None:
        """End the turn, for the batch is full."""
        self._ends_at = 0.0

    def _begin_turn(self, reading: Collection[Partition], lags: Mapping[Partition, int], now: float) -> None:
        waiting = [partition for partition in reading if lags.get(partition, 0) > BACKLOG_RECORDS]
        self._in_turn = min(waiting, key=lambda p: (self._latest_turns.get(p, 0), p), default=None)
        self._has_looked = False
        if self._in_turn is not None:
            self._turn += 1
            self._must_end_at = now + ROTATION_SECONDS / len(reading)
            self._ends_at = (now + self._must_end_at) / 2
            self._latest_turns = {p: turn for p, turn in self._latest_turns.items() if p in reading}
            self._latest_turns[self._in_turn] = self._turn


class BatchSize:
    """How much a batch takes, and how long it waits for that.

    Memory, and the time of a statement, follow the rows that a batch writes more than the records that it reads. So
    many records go into one batch only where they are about few rows.
    """

    def __init__(self, limits: BatchSettings) -> None:
        self._limits = limits
        self._record_bytes = 1
        self._goal = 0
        self._written_by = 0.0

    def begin(self, waiting: int, now: float) -> None:
        """A batch takes its first records: it is to take the records that are `waiting` now, if it can."""
        self._goal = waiting
        self._written_by = now + self._limits.linger_ms / 1000

    def took(self, count: int, size: int) -> None:
        """Take note of what was polled: records, and their bytes."""
        if count:
            self._record_bytes = max(1, size // count)

    def room(self, held: Held) -> int:
        """Records to ask for, at least one: a batch stays within its limits if they are as long as the latest were."""
        limits = self._limits
        size = min(_POLL_BYTES, limits.max_bytes - held.size)
        rows = max(_LEAST_ROWS, limits.max_rows - held.row_count)
        return max(1, min(_POLL_RECORDS, limits.max_records - held.count, size // self._record_bytes, rows))

    def is_full(self, held: Held) -> bool:
        """Whether a batch must take no more."""
        limits = self._limits
        written = held.size * held.row_count // max(1, held.count)
        return (
            held.count >= limits.max_records
            or held.row_count >= limits.max_rows
            or held.size >= limits.max_bytes
            or written * _READ_FOR_WRITTEN >= limits.max_bytes
        )

    def seconds_left(self, held: Held, lag: int, now: float) -> float:
        """How long it should wait for more, of which `lag` is known; 0 if it should be written."""
        if not lag or held.count >= self._goal or self.is_full(held):
            return 0.0
        return max(0.0, self._written_by - now)


class Pace:
    """How long to gather records, without a backlog.

    What one poll brings is a transaction, and costs as much for a few records as for one. The rate of the latest polls
    says how many to expect.
    """

    def __init__(self) -> None:
        self._began_at = 0.0
        self._rate = 0.0

    def took(self, count: int, now: float) -> None:
        """Take note of a poll that is over, and of the records that it brought."""
        seconds = max(now - self._began_at, 1e-6)
        # The mean over about ten gatherings.
        weight = min(1.0, seconds / (10 * PACE_SECONDS))
        self._rate += (count / seconds - self._rate) * weight
        self._began_at = now

    def seconds_left(self, lag: int, now: float) -> float:
        """How long to gather before the next poll; 0 if records are known to be waiting, or too few would come."""
        if lag or self._rate * PACE_SECONDS < WORTH_GATHERING:
            return 0.0
        return max(0.0, self._began_at + PACE_SECONDS - now)
