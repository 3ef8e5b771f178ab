"""The state of a consumer as plain data: of this process, or sent by a worker to its supervisor.

Times are those of the monotonic clock, which all processes of a machine share.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reelsync.consumer.counters import Family, added_up
from reelsync.consumer.health.health import BackingOff
from reelsync.consumer.health.probe import OpenTransaction
from reelsync.consumer.observer import Activity, Server
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.records import Partition

from .document import BatchStatus, PoolStatus
from .history import STEP_SECONDS, STEPS, History, Step
from .recent_dead_letters import Parked, latest_few


def state_of(
    partition: Partition,
    halted: Mapping[Partition, Halt],
    settling: Collection[Partition],
    open_transactions: Collection[Partition],
) -> str:
    """What a process does with one of its partitions."""
    if partition in halted:
        return halted[partition].reason
    if partition in settling:
        return "settling"
    return "held_back" if partition in open_transactions else "reading"


@dataclass(frozen=True)
class Report:
    """One consumer, `at` a moment."""

    at: float
    began: float
    not_live: list[str]
    not_ready: list[str]
    schema_verified: bool
    settled: bool
    unsettled_since: float | None
    """Since when it has been joining the group, without an outage."""
    unreachable: Mapping[Server, str]
    backing_off: Mapping[Activity, BackingOff]
    halted: Mapping[Partition, Halt]
    positions: Mapping[Partition, int]
    """As stored, of the whole group, where known."""
    ends: Mapping[Partition, int]
    reading: frozenset[Partition]
    settling: frozenset[Partition]
    """Assigned to it, and their positions are being looked up."""
    open_transactions: Mapping[Partition, OpenTransaction]
    lag: int | None
    """Of the partitions that it reads."""
    last_batch: tuple[float, BatchStatus] | None
    """When it was committed, and what it was."""
    steps: Sequence[Step]
    parked: Sequence[Parked]
    pool: PoolStatus
    metrics: Sequence[Family]


@dataclass(frozen=True)
class Member:
    """A process that consumes. `absent`: why it does not answer at the moment, in words; its report is an older one."""

    number: int
    pid: int | None
    restarts: int = 0
    report: Report | None = None
    absent: str | None = None


@dataclass(frozen=True)
class Past:
    """What is kept of ended processes, so that no count goes down."""

    metrics: Sequence[Family] = ()
    """Their counters and histograms."""
    steps: Sequence[Step] = ()
    parked: Sequence[Parked] = ()

    def with_ended(self, report: Report) -> "Past":
        """This, and what one more process had done."""
        history = History(lambda: report.at, report.at - STEPS * STEP_SECONDS)
        history.add(self.steps)
        history.add(report.steps)
        return Past(
            list(added_up([*self.metrics, *(f for f in report.metrics if f.kind != "gauge")]).values()),
            history.steps,
            latest_few([*self.parked, *report.parked]),
        )
