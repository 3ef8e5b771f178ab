"""Partitions that a command could not read whole: why, and what to do. The others it reads to their end."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.kafka.scan import Gap
from reelsync.consumer.kafka.survey import Bounds
from reelsync.consumer.offsets.check import Halt, held_back, remedy, unknown, unreadable
from reelsync.consumer.records import Partition

INCOMPLETE = 3
"""The exit code of a command that did what was asked, but for partitions that it could not read whole."""


class IncompleteError(ReelsyncError):
    """A command needs every partition whole, and changed nothing."""

    exit_code = INCOMPLETE


class Obstacle(NamedTuple):
    """Why a partition could not be read whole."""

    partition: Partition
    halt: Halt
    fix: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.partition} was not read whole: {self.halt.message}. What to do: {self.fix}"


def obstacles_of(halts: Mapping[Partition, Halt]) -> list[Obstacle]:
    """The obstacles that these verdicts are, in order."""
    return [Obstacle(partition, halt, remedy(partition, halt)) for partition, halt in sorted(halts.items())]


def met_in(gaps: Mapping[Partition, Gap], positions: Mapping[Partition, int] | None = None) -> list[Obstacle]:
    """The obstacles that a scan met. A consumer at a position before such a batch halts there."""
    halts = {}
    for partition, gap in gaps.items():
        if not isinstance(gap.why, Unreadable):
            halts[partition] = unknown(partition, gap.why)
        elif positions is not None and positions.get(partition, 0) < gap.next:
            halts[partition] = unreadable(gap.why, gap.start, None)
        else:
            halts[partition] = Halt("unreadable", str(gap.why))
    return obstacles_of(halts)


def open_transactions(bounds: Mapping[Partition, Bounds]) -> list[Obstacle]:
    """Partitions of which records are there that cannot be read yet."""
    found = {p: held_back(log.readable, log.end - log.readable) for p, log in bounds.items() if log.readable < log.end}
    return obstacles_of(found)


def documents(obstacles: Iterable[Obstacle]) -> list[dict[str, object]]:
    """The obstacles, as JSON."""
    return [
        {
            "topic": one.partition.topic,
            "partition": one.partition.number,
            "reason": one.halt.reason,
            "message": one.halt.message,
            "fix": one.fix,
        }
        for one in obstacles
    ]
