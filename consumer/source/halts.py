"""Partitions that are not read: halted for a reason until an operator decides, or gone from their topic."""

import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import structlog

from reelsync.consumer.kafka.reader import Topic
from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.offsets.check import Halt, deleted, remedy, unknown, unreadable
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Partition

_RECHECK_SECONDS = 4.0
_BROKER_SECONDS = 2.0
"""Between two checks of partitions that wait for a broker, which ends by itself."""

_log = structlog.get_logger("reelsync.source")


class Halts:
    """Logs each halt once, and decides when partitions are checked again."""

    def __init__(self) -> None:
        self.halted: dict[Partition, Halt] = {}
        self.gone: frozenset[Partition] = frozenset()
        """Partitions that are assigned, and that their topics do not have: created again with fewer."""
        self._next_recheck = self._next_look_for_brokers = 0.0

    @property
    def not_read(self) -> AbstractSet[Partition]:
        """All partitions that are not read."""
        return self.halted.keys() | self.gone

    @property
    def divisions(self) -> list[str]:
        """Why partitions are halted although their positions fit: members of the group write to different databases."""
        return sorted({halt.message for halt in self.halted.values() if halt.reason == "other_database"})

    def halt(self, partition: Partition, halt: Halt) -> None:
        """Stop reading the partition, for this reason. That a broker is away is no reason to forget an earlier one."""
        before = self.halted.get(partition)
        if before and halt.is_waiting and not before.is_waiting:
            return
        if before != halt:
            log, event = (_log.warning, "partition.waiting") if halt.is_waiting else (_log.error, "partition.halted")
            log(event, partition=str(partition), reason=halt.reason, why=halt.message, fix=remedy(partition, halt))
        self.halted[partition] = halt
        if halt.is_waiting:
            self._next_look_for_brokers = time.monotonic() + _BROKER_SECONDS
        else:
            self._next_recheck = time.monotonic() + _RECHECK_SECONDS

    def halt_unreadable(
        self,
        batches: Mapping[Partition, Unreadable],
        positions: Mapping[Partition, int],
        topic_ids: Mapping[Partition, str | None],
    ) -> list[Partition]:
        """Halt those of the partitions that are read and have come to a batch that cannot be unpacked."""
        halted = [p for p, batch in batches.items() if p in positions and positions[p] < batch.next]
        for partition in halted:
            self.halt(partition, unreadable(batches[partition], positions[partition], topic_ids[partition]))
        return halted

    def is_before_unreadable(self, partition: Partition, stored: Stored) -> bool:
        """Whether the partition stays halted at this position, because what follows cannot be read.

        In another topic of the same name it goes on.
        """
        halt = self.halted.get(partition)
        if halt is None or halt.unreadable is None:
            return False
        first, after, topic_id = halt.unreadable
        return stored.topic_id == topic_id and first <= stored.next_offset < after

    def resume_earlier(self, positions: Mapping[Partition, Stored]) -> bool:
        """Resume partitions whose position is before the one at which they came to what cannot be read; whether any is.

        What was read in between was not written, or is in a batch that may still be written: all must be forgotten.
        """
        unreadable = {partition: halt.unreadable for partition, halt in self.halted.items()}
        earlier = [p for p, at in positions.items() if (span := unreadable.get(p)) and at.next_offset < span.start]
        for partition in earlier:
            self.resume(partition, positions[partition].next_offset)
        return bool(earlier)

    def resume(self, partition: Partition, position: int) -> None:
        """The partition is read again, from this position on."""
        if self.halted.pop(partition, None):
            _log.info("partition.resumed", partition=str(partition), position=position)

    def release(self, partitions: Iterable[Partition], topics: Mapping[str, Topic]) -> None:
        """Forget these partitions, which are not assigned: another member has them and checks them.

        Those of a topic that is not among the `topics` that exist, or that this user may not see, are nobody's, and
        halt.
        """
        for partition in partitions:
            if partition.topic not in topics:
                self.halt(partition, deleted(partition))
            elif topics[partition.topic].refused:
                self.halt(partition, unknown(partition, "not_authorized"))
            else:
                self.halted.pop(partition, None)

    def note_gone(self, asked: frozenset[Partition], gone: frozenset[Partition]) -> None:
        """Note which of the partitions that were `asked` for are gone."""
        for partition in sorted(gone - self.gone):
            fix = "none is needed: its topic was created again with fewer partitions"
            _log.warning("partition.gone", partition=str(partition), fix=fix)
            self.halted.pop(partition, None)
        self.gone = (self.gone - asked) | gone

    def due(self) -> AbstractSet[Partition]:
        """The partitions to check again now: an operator may have reset the position, or the log may be back."""
        now, found = time.monotonic(), set[Partition]()
        waiting = {partition for partition, halt in self.halted.items() if halt.is_waiting}
        if now >= self._next_look_for_brokers:
            self._next_look_for_brokers = now + _BROKER_SECONDS
            found |= waiting
        if now >= self._next_recheck:
            self._next_recheck = now + _RECHECK_SECONDS
            found |= self.not_read - waiting
        return found
