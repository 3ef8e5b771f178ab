"""Adding the records of a topic to its archive, as far as they can be read now."""

from collections.abc import Callable
from dataclasses import dataclass, field

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.check import Halt, unknown
from reelsync.consumer.operations.obstacles import Obstacle, met_in, obstacles_of, open_transactions
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
    obstacles: list[Obstacle] = field(default_factory=list)
    """Partitions that could not be archived to their end, in the order in which that was found."""


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
        """What is to be read of each partition, as far as it can be read.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        places = [Partition(self.archive.topic, number) for number in range(partitions)]
        found = await self.log.survey(places)
        self.result.obstacles += obstacles_of({place: unknown(place, why) for place, why in found.troubles.items()})
        self.result.obstacles += open_transactions(found.bounds)
        stretches: dict[Partition, Span] = {}
        for place, log in found.bounds.items():
            archived = self.archive.range_of(place.number)
            start = archived[1] if archived else log.begin
            if start > log.readable:
                why = f"it ends at {log.readable}, and is archived to {start}: its log was truncated"
                self.result.obstacles.append(Obstacle(place, Halt("truncated", why), "archive into another directory"))
                continue
            if log.begin > start:
                self.result.gone[place] = Span(start, log.begin)
            stretches[place] = Span(max(log.begin, start), log.readable)
        return stretches

    async def run(self, stretches: dict[Partition, Span]) -> Archived:
        """Add the records of these ranges.

        Raises:
            KafkaFailedError: the brokers failed.
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
            for place in scanned.gaps.keys() & self._spans.keys():
                self._write(place)
            self.result.obstacles += met_in(scanned.gaps)
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return self.result

    def _write(self, place: Partition) -> None:
        span, records = self._spans.pop(place), self._held.pop(place, [])
        self._sizes.pop(place, None)
        self.archive.add(place.number, span.start, span.next, records)
        self.result.records += len(records)
        self.result.segments += 1
