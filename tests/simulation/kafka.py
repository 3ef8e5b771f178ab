"""Simulated brokers: topics with ids, logs with gaps, open transactions and corrupt batches."""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.records import Partition, StoredRecord

from .group import Group
from .world import World

CLUSTER = "simulated"
_AT_ONCE = 8
"""Entries of one partition in one fetch."""


class Effect(NamedTuple):
    """What one record must do: insert a fact, set a row to a version or more, or become a dead letter."""

    kind: str
    table: str = ""
    row_id: str = ""
    version: int = 0


class Chunk(NamedTuple):
    """Records of a fetch, the position after them, and what follows if it cannot be unpacked."""

    records: list[StoredRecord]
    next: int
    unreadable: Unreadable | None = None


class Log:
    """One partition of a topic. It keeps what every offset must do, also when the record is no longer there."""

    def __init__(self, topic: str, number: int, topic_id: str | None) -> None:
        self.partition = Partition(topic, number)
        self.topic_id = topic_id
        self.begin = self.end = 0
        self.effects: dict[int, Effect] = {}
        self.records: dict[int, StoredRecord] = {}
        self.open_at: int | None = None
        """The first offset of a transaction that is not finished: nothing from there on can be read."""
        self.corrupt: Unreadable | None = None
        self.given_up: list[Unreadable] = []
        """What an operator has decided to go on without."""
        self.leaderless_until = 0.0

    def holds(self, offset: int) -> bool:
        """Whether a record at this offset is there to be read."""
        given_up = any(batch.first <= offset < batch.next for batch in self.given_up)
        return self.begin <= offset < self.readable_end and not given_up

    def is_corrupt(self, position: int) -> bool:
        """Whether the batch at this position cannot be unpacked."""
        corrupt = self.corrupt
        return corrupt is not None and corrupt.first <= position < min(corrupt.next, self.readable_end)

    @property
    def readable_end(self) -> int:
        """The end of what may be read."""
        return self.end if self.open_at is None else self.open_at

    def append(self, value: bytes, key: bytes | None, effect: Effect) -> None:
        """Add a record."""
        self.records[self.end] = StoredRecord(*self.partition, self.end, 1_767_607_200_000 + self.end, key, value, ())
        self.effects[self.end] = effect
        self.end += 1

    def skip(self, offsets: int) -> None:
        """Add offsets without a record: markers of transactions, or what compaction removed."""
        self.end += offsets

    def abort(self) -> None:
        """End the open transaction: its records are there, and nobody reads them."""
        for offset in range(self.open_at or 0, self.end):
            self.records.pop(offset, None)
            self.effects.pop(offset, None)
        self.open_at = None

    def fetch(self, position: int) -> Chunk:
        """What a fetch at this position brings.

        Raises:
            OffsetOutOfRangeError: the log has no such offset.
        """
        if not self.begin <= position <= self.end:
            raise OffsetOutOfRangeError({TopicPartition(*self.partition): position})
        corrupt = self.corrupt
        if corrupt and self.is_corrupt(position):
            return Chunk([], position, corrupt)
        end = min(self.readable_end, position + _AT_ONCE)
        if corrupt and position < corrupt.first < end:
            end = corrupt.first
        return Chunk([self.records[at] for at in range(position, end) if at in self.records], end)


class SimulatedKafka:
    """The brokers. Those without ids know topics by their names alone."""

    def __init__(self, world: World, topics: dict[str, int], *, has_ids: bool) -> None:
        self.world = world
        self.has_ids = has_ids
        self.topics: dict[str, list[Log]] = {}
        self.logs: dict[tuple[Partition, str | None], Log] = {}
        """Every log that there ever was, by its partition and topic id."""
        self.group = Group(world, self.topics)
        self.told: dict[Partition, int] = {}
        """The positions that were committed to Kafka."""
        self.written: dict[Partition, int] = {}
        """The highest position of each partition that PostgreSQL ever had: Kafka must not be told of more."""
        self.failing_until = 0.0
        self.struck: Log | None = None
        """The only partition that has faults, in runs about the others."""
        self._ids = 0
        self._waiting: list[asyncio.Future[None]] = []
        for topic, partitions in topics.items():
            self.create(topic, partitions)

    @property
    def partitions(self) -> list[Log]:
        """The present log of every partition."""
        return [log for logs in self.topics.values() for log in logs]

    @property
    def is_down(self) -> bool:
        """Whether no broker answers."""
        return self.world.clock.now < self.failing_until

    @property
    def breakable(self) -> list[Log]:
        """Logs that may have faults of their own."""
        return [self.struck] if self.struck else self.partitions

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic, perhaps under the name of another one before."""
        self._ids += 1
        self.topics[topic] = []
        for _ in range(partitions):
            self.grow(topic)

    def grow(self, topic: str) -> None:
        """Add a partition to a topic."""
        logs = self.topics[topic]
        topic_id = logs[0].topic_id if logs else f"id-{self._ids}" if self.has_ids else None
        log = Log(topic, len(logs), topic_id)
        logs.append(log)
        self.logs[log.partition, topic_id] = log
        self.changed()

    def lose_leader(self, log: Log) -> None:
        """Nobody leads a partition for some time."""
        self.world.fault("no leader", log.partition)
        log.leaderless_until = self.world.clock.now + self.world.rng.random() * 30.0

    def find(self, tp: TopicPartition, topic_id: str | None) -> Log | None:
        """The log that a fetch is for; None if the topic has another id, or does not exist."""
        logs = self.topics.get(tp.topic, [])
        log = logs[tp.partition] if tp.partition < len(logs) else None
        return log if log and topic_id in {None, log.topic_id} else None

    def without_leader(self, partitions: Collection[Partition]) -> set[Partition]:
        """Those of the partitions that no broker leads now."""
        logs = {partition: self.find(TopicPartition(*partition), None) for partition in partitions}
        return {partition for partition, log in logs.items() if log and log.leaderless_until > self.world.clock.now}

    def leaders(self, logs: Collection[Log]) -> dict[int, int]:
        """Who leads these partitions, of two brokers. That one is gone may not be known yet."""
        is_known = self.world.rng.random() < 0.5
        led = [log for log in logs if log.leaderless_until <= self.world.clock.now or not is_known]
        return {log.partition.number: log.partition.number % 2 for log in led}

    def changed(self) -> None:
        """Wake those who wait for records."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait for a change of any log, for a limited time."""
        waiter = self.world.clock.after(seconds)
        self._waiting.append(waiter)
        await waiter
