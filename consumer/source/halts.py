"""Partitions that are not read: halted for a reason, until an operator has decided, or gone from their topic."""

import time
from collections.abc import Set as AbstractSet

import structlog

from reelsync.consumer.offsets.check import Halt, remedy
from reelsync.consumer.records import Partition

_RECHECK_SECONDS = 15.0

_log = structlog.get_logger("reelsync.source")


class Halts:
    """Logs each halt once, and says which partitions are to be checked again."""

    def __init__(self) -> None:
        self.halted: dict[Partition, Halt] = {}
        self.gone: frozenset[Partition] = frozenset()
        """Partitions that are assigned, and that their topics do not have: created again with fewer."""
        self._next_recheck = 0.0

    @property
    def not_read(self) -> AbstractSet[Partition]:
        """All of them."""
        return self.halted.keys() | self.gone

    def halt(self, partition: Partition, halt: Halt) -> None:
        """The partition must not be read on."""
        if self.halted.get(partition) != halt:
            fix = remedy(partition, halt)
            _log.error("partition.halted", partition=str(partition), reason=halt.reason, why=halt.message, fix=fix)
        self.halted[partition] = halt
        self._next_recheck = time.monotonic() + _RECHECK_SECONDS

    def resume(self, partition: Partition, position: int) -> None:
        """The partition is read, from this position on."""
        if self.halted.pop(partition, None):
            _log.info("partition.resumed", partition=str(partition), position=position)

    def forget(self, partition: Partition) -> None:
        """The partition belongs to another member, which checks it by itself."""
        self.halted.pop(partition, None)

    def note_gone(self, asked: frozenset[Partition], gone: frozenset[Partition]) -> None:
        """Of the partitions that were `asked` for, these are gone."""
        for partition in sorted(gone - self.gone):
            fix = "none is needed: its topic was created again with fewer partitions"
            _log.warning("partition.gone", partition=str(partition), fix=fix)
            self.halted.pop(partition, None)
        self.gone = (self.gone - asked) | gone

    def due(self) -> AbstractSet[Partition]:
        """Those to be checked now: an operator may have reset the position, or the log may be back."""
        if not self.not_read or time.monotonic() < self._next_recheck:
            return frozenset()
        self._next_recheck = time.monotonic() + _RECHECK_SECONDS
        return self.not_read
