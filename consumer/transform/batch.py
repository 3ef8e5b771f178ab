"""The records on their way to one transaction, and the positions that it moves. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from reelsync.consumer.records import Anchor, Partition, Record, Span, anchor_of, record_size
from reelsync.events import WireEvent

from .decode import Decode, Located, Rejection
from .fold import Fold
from .plan import Plan


@dataclass
class Batch:
    """Records, the fold of their events, and the span of each partition that they cover.

    `epoch` numbers the assignment under which they were read: a batch of an older epoch is dropped, not written. Events
    that the fold does not need are not kept, because memory that is used again at once is the fastest. Code that needs
    all events, which is rare, decodes the records again.
    """

    epoch: int
    decode: Decode
    fold_type: type[Fold] = Fold
    records: list[Record] = field(default_factory=list)
    """Those that carry an event."""
    event_types: Counter[str] = field(default_factory=Counter)
    """Events by type."""
    rejections: list[Rejection] = field(default_factory=list)
    spans: dict[Partition, Span] = field(default_factory=dict)
    anchors: dict[Partition, Anchor] = field(default_factory=dict)
    fold: Fold = field(init=False)
    """Empty once the batch is planned."""
    size: int = 0
    """Bytes of keys, values and headers."""
    row_count: int = 0
    """The rows of the events, without placeholders."""
    seconds: dict[str, float] = field(default_factory=dict)
    """The time spent on the batch, by phase."""
    _plan: Plan | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.fold = self.fold_type()

    @property
    def count(self) -> int:
        """Records in the batch."""
        return len(self.records) + len(self.rejections)

    @property
    def events(self) -> list[Located]:
        """All events, decoded again."""
        verdicts = ((record, self.decode(record)) for record in self.records)
        return [Located(record, event) for record, event in verdicts if not isinstance(event, Rejection)]

    @property
    def plan(self) -> Plan:
        """All rows that the batch writes. Those that are not encoded yet are encoded now."""
        return self._started_plan().finish()

    def plan_some(self) -> bool:
        """Plan for about 1 ms. Whether there is more to plan. Nothing can be added afterwards."""
        return self._started_plan().step()

    def _started_plan(self) -> Plan:
        if self._plan is None:
            self._plan, self.fold = Plan(self.fold), self.fold_type()
        return self._plan

    def age_seconds(self, now: datetime) -> float | None:
        """Seconds from the time of the oldest event to `now`; None without events."""
        oldest = self.plan.earliest
        return None if oldest is None else max(0.0, (now - oldest).total_seconds())

    @property
    def positions(self) -> dict[Partition, int]:
        """The next offset of each partition after this batch."""
        return {partition: span.next for partition, span in self.spans.items()}

    def spend(self, phase: str, seconds: float) -> None:
        """Add time spent in a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def add(self, records: Sequence[Record], verdicts: Sequence[WireEvent | Rejection]) -> None:
        """Add records with their verdicts, in log order within each partition.

        Raises:
            ValueError: the batch is planned already, so the events would be in no row.
        """
        if self._plan is not None:
            message = "a batch that is planned takes no more records"
            raise ValueError(message)
        self.size += sum(map(record_size, records))
        for record, verdict in zip(records, verdicts, strict=True):
            if isinstance(verdict, Rejection):
                self.rejections.append(verdict)
            else:
                self.records.append(record)
                self.event_types[verdict["type"]] += 1
                self.fold.add(verdict)
        self.row_count = self.fold.row_count

    def extend(self, spans: Mapping[Partition, Span], last: Mapping[Partition, Record]) -> None:
        """Extend the spans by those of a poll. `last` has the last record of each partition that had records."""
        for partition, span in spans.items():
            held = self.spans.get(partition)
            self.spans[partition] = span._replace(start=held.start) if held else span
        self.anchors.update({partition: anchor_of(record) for partition, record in last.items()})

    def halves(self) -> tuple[Self, Self]:
        """Two batches that have the same effect when written one after the other; each has half of the records.

        The first takes the records of the first partitions, in order. Where a partition is cut in two, the second
        continues where the first ends. A partition without records is in the second.
        """
        records = [*self.records, *(rejection.record for rejection in self.rejections)]
        records.sort(key=lambda record: (_partition_of(record), record.offset))
        cut = (len(records) + 1) // 2
        first, second = (type(self)(self.epoch, self.decode, self.fold_type) for _ in range(2))
        for partition, span in self.spans.items():
            earlier = [record for record in records[:cut] if _partition_of(record) == partition]
            later = [record for record in records[cut:] if _partition_of(record) == partition]
            middle = earlier[-1].offset + 1 if earlier else span.start
            if earlier:
                first._take(partition, span._replace(next=middle if later else span.next), earlier)  # noqa: SLF001
            if later or not earlier:
                second._take(partition, span._replace(start=middle), later)  # noqa: SLF001
        return first, second

    def _take(self, partition: Partition, span: Span, records: list[Record]) -> None:
        self.add(records, [self.decode(record) for record in records])
        self.extend({partition: span}, {partition: records[-1]} if records else {})


def _partition_of(record: Record) -> Partition:
    return Partition(record.topic, record.partition)
