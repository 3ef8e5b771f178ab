"""What a verification reads of the log: each partition up to the group's position, as far as that is possible."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.scan import scan_behind_gaps
from reelsync.consumer.kafka.survey import Bounds
from reelsync.consumer.offsets.check import OF_ANOTHER_LOG, Halt, held_back
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.operations.obstacles import met_in, obstacles_of
from reelsync.consumer.operations.standing import judge
from reelsync.consumer.records import Partition, Record, Span

from .report import Report


@dataclass
class Reading:
    """Reads the log, and notes in `report` what could not be read.

    Args:
        cluster_id: Of the brokers; None if the log is of any cluster, because it is archived.
        progress: Called with the number of offsets that were read since the last call.
    """

    log: KafkaLog | ArchivedLog
    cluster_id: str | None
    group: str
    report: Report = field(default_factory=Report)
    progress: Callable[[int], object] = lambda _records: None

    @property
    def out_of_reach(self) -> set[Partition]:
        """Partitions of which no more can be read."""
        return {one.partition for one in self.report.obstacles if one.halt.reason != "unreadable"}

    async def stretches(self, stored: Mapping[Partition, Stored]) -> dict[Partition, Span]:
        """The offsets of each partition that are still in the log and below the group's position.

        Raises:
            ReelsyncError: the group has no position: an empty comparison would look like a success.
        """
        if not stored:
            raise ReelsyncError(
                f"group {self.group} has no positions: it has consumed nothing yet, or REELSYNC_KAFKA__GROUP_ID "
                "names another group"
            )
        bounds, halts = await judge(self.log, self.cluster_id, stored, stored)
        stretches: dict[Partition, Span] = {}
        for place, position in stored.items():
            halt = halts.get(place)
            if place in bounds and not (halt and halt.reason in OF_ANOTHER_LOG):
                stretches[place], lacking = _below(position.next_offset, bounds[place], halt)
                if lacking:
                    halts[place] = lacking
                else:
                    halts.pop(place, None)
        self.report.obstacles += obstacles_of(halts)
        return stretches

    async def read(self, stretches: Mapping[Partition, Span], take: Callable[[Record], object]) -> Counter[Partition]:
        """Pass all records of these stretches on; returns how many there were of each partition."""
        seen: Counter[Partition] = Counter()
        positions = {place: span.next for place, span in stretches.items()}
        async for scanned in scan_behind_gaps(self.log, stretches):
            for record in scanned.records:
                take(record)
                seen[Partition(record.topic, record.partition)] += 1
            self.report.obstacles += met_in(scanned.gaps, positions)
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return seen

    async def read_above(self, stored: Mapping[Partition, Stored], take: Callable[[Record], object]) -> None:
        """Pass on what can be read above the group's positions."""
        found = await self.log.survey(stored)
        there = found.bounds.keys() - self.out_of_reach
        starts = {p: max(stored[p].next_offset, found.bounds[p].begin) for p in there}
        rest = {p: Span(start, found.bounds[p].readable) for p, start in starts.items()}
        async for scanned in scan_behind_gaps(
            self.log, {p: span for p, span in rest.items() if span.start < span.next}
        ):
            for record in scanned.records:
                take(record)
            self.report.obstacles += met_in(scanned.gaps, starts)


def _below(position: int, log: Bounds, halt: Halt | None) -> tuple[Span, Halt | None]:
    """What is to be read below a position, and why that is not all."""
    span = Span(log.begin, max(log.begin, min(position, log.readable)))
    if position > log.readable and halt is None:
        return span, held_back(log.readable, position - log.readable)
    # An archive may have all that is needed of a partition that cannot be read.
    return span, halt if position > span.next or position < log.begin else None
