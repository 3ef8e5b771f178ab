"""Adding the records of a topic to its archive, as far as they can be read now."""

from collections.abc import Callable
from dataclasses import dataclass, field

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition, Record, Span, record_size

from .files import TopicArchive

_SEGMENT_BYTES = 8 * 1_048_576
"""Bytes of records in a segment, which is in memory until it is written."""


@dataclass
class Archived:
    """What was added."""

    records: int = 0
    segments: int = 0
    gone: dict[Partition, Span] = field(default_factory=dict)
    """Offsets that the log had no more when they were to be archived."""


@dataclass
class Archiving:
    """Adds to an archive. What was written stays, whenever it ends, and the next one goes on there."""

    log: KafkaLog
    archive: TopicArchive
    progress: Callable[[int], object] = lambda _records: None
    result: Archived = field(default_factory=Archived)
    _held: dict[Partition, list[Record]] = field(default_factory=dict)
    _spans: dict[Partition, Span] = field(default_factory=dict)
    _sizes: dict[Partition, int] = field(default_factory=dict)

    async def stretches(self, partitions: int) -> dict[Partition, Span]:
        """What is to be read of each partition.

        Raises:
            KafkaFailedError: the brokers did not answer.
            ReelsyncError: the log ends before what is archived already.
        """
        places = [Partition(self.archive.topic, number) for number in range(partitions)]
        ranges, ends = await self.log.ranges(places), await self.log.readable_ends(places)
        stretches: dict[Partition, Span] = {}
        for place in places:
            archived = self.archive.range_of(place.number)
            begin = ranges[place][0]
            start = archived[1] if archived else begin
            if start > ends[place]:
                raise ReelsyncError(
                    f"{place} ends at {ends[place]}, and is archived to {start}: its log was truncated. Archive it "
                    "into another directory"
                )
            if begin > start:
                self.result.gone[place] = Span(start, begin)
            stretches[place] = Span(max(begin, start), ends[place])
        return stretches

    async def run(self, stretches: dict[Partition, Span]) -> Archived:
        """Add the records of these ranges.

        Raises:
            KafkaFailedError: the brokers failed.
            UnavailableError: the log cannot be read any further.
        """
        async for scanned in self.log.scan(stretches):
            for record in scanned.records:
                place = Partition(record.topic, record.partition)
                self._held.setdefault(place, []).append(record)
                self._sizes[place] = self._sizes.get(place, 0) + record_size(record)
            for place, span in scanned.spans.items():
                held = self._spans.get(place)
                self._spans[place] = span._replace(start=held.start) if held else span
                if self._sizes.get(place, 0) >= _SEGMENT_BYTES or span.next == stretches[place].next:
                    self._write(place)
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return self.result

    def _write(self, place: Partition) -> None:
        span, records = self._spans.pop(place), self._held.pop(place, [])
        self._sizes.pop(place, None)
        self.archive.add(place.number, span.start, span.next, records)
        self.result.records += len(records)
        self.result.segments += 1
