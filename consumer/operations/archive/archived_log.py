"""A log whose older records are in an archive, and whose newer records are in Kafka."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from pathlib import Path

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.reader import Topic
from reelsync.consumer.kafka.scan import Scanned
from reelsync.consumer.kafka.survey import Bounds, Survey, is_there
from reelsync.consumer.records import Anchor, Partition, Span, StoredRecord

from .files import ArchiveError, Segment, TopicArchive

_AT_ONCE = 2_000


class ArchivedLog:
    """Answers like KafkaLog. A partition that Kafka has no more, or of another topic now, ends with the archive."""

    def __init__(self, log: KafkaLog, directory: Path, topics: Iterable[str]) -> None:
        """Read the index of each topic.

        Raises:
            ArchiveError: none of them is archived there, or an index is damaged.
        """
        found = {topic: TopicArchive.read(directory, topic) for topic in topics}
        self._archives = {topic: archive for topic, archive in found.items() if archive}
        self._log = log
        if not self._archives:
            raise ArchiveError(f"{directory} has no archive of a topic in REELSYNC_KAFKA__TOPICS")

    @property
    def topics(self) -> dict[str, int]:
        """The archived topics, with their numbers of partitions."""
        return {topic: archive.partitions for topic, archive in self._archives.items()}

    async def survey(self, partitions: Collection[Partition]) -> Survey:
        """Where each partition begins and ends. Of one that Kafka tells nothing about, as far as it is archived.

        Raises:
            KafkaFailedError: no broker answered.
        """
        there, topics = await self._in_kafka(partitions)
        live = await self._log.survey(there, topics) if there else Survey({}, {})
        archived = {place: bounds for place in partitions if (bounds := self._archived_bounds(place))}
        both = {place: _united(archived[place], live.bounds[place]) for place in archived if place in live.bounds}
        return Survey({**archived, **live.bounds, **both}, live.troubles)

    async def anchors(self, offsets: Mapping[Partition, int], seconds: float) -> dict[Partition, Anchor]:
        """The records at these offsets that Kafka has still."""
        there, _ = await self._in_kafka(offsets)
        return await self._log.anchors({place: offsets[place] for place in there}, seconds) if there else {}

    async def scan(self, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
        """The records of these ranges.

        Raises:
            ArchiveError: a file is missing, or is not as it was written.
            KafkaFailedError: the brokers failed.
        """
        rest: dict[Partition, Span] = {}
        for place, span in sorted(stretches.items()):
            end = min(span.next, (self._archived(place) or (0, 0))[1])
            if span.start < end:
                for scanned in self._archived_records(place, Span(span.start, end)):
                    yield scanned
            rest[place] = span._replace(start=max(span.start, end))
        there, _ = await self._in_kafka([place for place, span in rest.items() if span.start < span.next])
        async for scanned in self._log.scan({place: rest[place] for place in there}):
            yield scanned

    def _archived(self, place: Partition) -> tuple[int, int] | None:
        archive = self._archives.get(place.topic)
        return archive.range_of(place.number) if archive else None

    def _archived_records(self, place: Partition, span: Span) -> Iterable[Scanned]:
        archive = self._archives[place.topic]
        position = span.start
        for segment in archive.segments[place.number]:
            if segment.next <= position or segment.start >= span.next:
                continue
            for records in _some_of(archive, segment, Span(position, span.next)):
                end = records[-1].offset + 1
                yield Scanned(list(records), {place: Span(position, end)})
                position = end
            end = min(segment.next, span.next)
            if position < end:
                yield Scanned([], {place: Span(position, end)})
                position = end

    def _archived_bounds(self, place: Partition) -> Bounds | None:
        archive = self._archives.get(place.topic)
        if archive is None:
            return None
        begin, end = archive.range_of(place.number) or (0, 0)
        return Bounds(begin, end, end, archive.topic_id)

    async def _in_kafka(self, partitions: Collection[Partition]) -> tuple[list[Partition], dict[str, Topic]]:
        """The partitions that Kafka may have, of the topic that was archived; and its topics."""
        topics = await self._log.topics({place.topic for place in partitions})
        ids = {topic: archive.topic_id for topic, archive in self._archives.items()}
        same = {name for name, topic in topics.items() if topic.refused or ids.get(name) in {None, topic.topic_id}}
        there = [p for p in partitions if p.topic in same and (topics[p.topic].refused or is_there(p, topics))]
        return there, topics


def _united(archived: Bounds, live: Bounds) -> Bounds:
    if not archived.end:
        return live
    begin, end = min(archived.begin, live.begin), max(archived.end, live.end)
    return live._replace(begin=begin, end=end, readable=max(archived.readable, live.readable))


def _some_of(archive: TopicArchive, segment: Segment, span: Span) -> Iterable[list[StoredRecord]]:
    some: list[StoredRecord] = []
    for record in archive.records(segment):
        if span.start <= record.offset < span.next:
            some.append(record)
        if len(some) >= _AT_ONCE:
            yield some
            some = []
    if some:
        yield some
