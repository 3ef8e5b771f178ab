"""The records on their way to one transaction, and the positions that it moves. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from .decode import Located, Rejection
from .fold import Fold
from .records import Anchor, Partition, Record, Span, anchor_of, record_size


@dataclass
class Batch:
    """Verdicts on records, folded as they come, and the span of each partition that they stand for.

    `epoch` numbers the assignment under which they were read: a batch of an older epoch is forgotten, not written.
    """

    epoch: int
    events: list[Located] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    spans: dict[Partition, Span] = field(default_factory=dict)
    anchors: dict[Partition, Anchor] = field(default_factory=dict)
    fold: Fold = field(default_factory=Fold)
    size: int = 0
    """Bytes of keys and values."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time spent on it so far, by phase."""

    @property
    def count(self) -> int:
        """Records in the batch."""
        return len(self.events) + len(self.rejections)

    def age_seconds(self, now: datetime) -> float | None:
        """From the time of its oldest event to `now`; None if it has no event."""
        if not self.events:
            return None
        oldest: datetime = min(located.event["time"] for located in self.events)
        return max(0.0, (now - oldest).total_seconds())

    @property
    def positions(self) -> dict[Partition, int]:
        """Where each partition goes on once the batch is committed."""
        return {partition: span.next for partition, span in self.spans.items()}

    def spend(self, phase: str, seconds: float) -> None:
        """Count time spent in a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def add(self, verdicts: Iterable[Located | Rejection]) -> None:
        """Take verdicts in, in the order of the log within each partition."""
        for verdict in verdicts:
            self.size += record_size(verdict.record)
            if isinstance(verdict, Rejection):
                self.rejections.append(verdict)
            else:
                self.events.append(verdict)
                self.fold.add(verdict.event)

    def extend(self, spans: Mapping[Partition, Span], last: Mapping[Partition, Record]) -> None:
        """Move the positions over what was polled; `last` holds the last record of each partition that had any."""
        for partition, span in spans.items():
            held = self.spans.get(partition)
            self.spans[partition] = Span(held.start if held else span.start, span.next)
        self.anchors.update({partition: anchor_of(record) for partition, record in last.items()})

    def halves(self) -> tuple[Self, Self]:
        """Two batches that, written one after the other, do what this one does; each has half of the records.

        The first takes the records of the first partitions, in order; where a partition is cut in two, the second goes
        on where the first ends. A partition without records goes with the second.
        """
        verdicts: list[Located | Rejection] = [*self.events, *self.rejections]
        verdicts.sort(key=lambda verdict: (_partition_of(verdict), verdict.record.offset))
        cut = (len(verdicts) + 1) // 2
        first, second = type(self)(self.epoch), type(self)(self.epoch)
        for partition, span in self.spans.items():
            earlier = [verdict for verdict in verdicts[:cut] if _partition_of(verdict) == partition]
            later = [verdict for verdict in verdicts[cut:] if _partition_of(verdict) == partition]
            middle = earlier[-1].record.offset + 1 if earlier else span.start
            if earlier:
                first._take(partition, Span(span.start, middle if later else span.next), earlier)  # noqa: SLF001
            if later or not earlier:
                second._take(partition, Span(middle, span.next), later)  # noqa: SLF001
        return first, second

    def _take(self, partition: Partition, span: Span, verdicts: list[Located | Rejection]) -> None:
        self.add(verdicts)
        self.extend({partition: span}, {partition: verdicts[-1].record} if verdicts else {})


def _partition_of(verdict: Located | Rejection) -> Partition:
    return Partition(verdict.record.topic, verdict.record.partition)
