"""Reading ranges of a log without a group, so no position is moved. What cannot be read of one holds up no other."""

import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from reelsync.consumer.records import Partition, Record, Span

from .reader import Reader
from .record_batches import Unreadable
from .survey import Trouble

if TYPE_CHECKING:
    from .log import KafkaLog

_POLL_MS = 500
_POLL_RECORDS = 2_000
_STALLED_SECONDS = 60.0
_ALONE = 2_000
"""A partition of which more offsets are left is read alone: events of one row are in one partition, and merge."""


class Gap(NamedTuple):
    """Offsets from `start` to `next` that cannot be read: a batch, or all that was left of the partition."""

    start: int
    next: int
    why: Unreadable | Trouble


class Scanned(NamedTuple):
    """One poll: records in log order for each partition, and how far each partition moved.

    `spans` end at the end of the scan at the latest. A partition with a gap is not read any further.
    """

    records: list[Record]
    spans: dict[Partition, Span]
    gaps: Mapping[Partition, Gap] = {}


class Scannable(Protocol):
    """A log that can be scanned."""

    def scan(self, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
        """The readable records of these ranges: see `scan`."""


@dataclass
class _Left:
    """What is left of a partition, and for how many seconds it was polled and nothing of it came."""

    position: int
    end: int
    topic_id: str | None = None
    waited: float = 0.0


async def scan(log: "KafkaLog", stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
    """The readable records of these ranges, without those of open and aborted transactions.

    Close the iterator if it is left early. A span may begin later than its range, because retention and compaction
    remove records.

    Raises:
        KafkaFailedError: no broker can be used.
    """
    left = {TopicPartition(*p): _Left(span.start, span.next) for p, span in stretches.items() if span.start < span.next}
    if not left:
        return
    async with log.reader(list(left), isolation_level="read_committed", client_rack=log.client_rack) as reader:
        await _begin(reader, left)
        while left:
            polled = _turn(left)
            started = time.monotonic()
            fetched = await reader.getmany(*polled, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            scanned = await _scanned(reader, left, polled, fetched, time.monotonic() - started)
            if scanned.spans or scanned.gaps:
                yield scanned
            for tp in [tp for tp in polled if left[tp].position == left[tp].end or Partition(*tp) in scanned.gaps]:
                del left[tp]
                reader.pause(tp)


async def scan_behind_gaps(log: Scannable, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
    """A scan that goes on behind each batch that cannot be read. Raises what `scan` raises."""
    while stretches:
        behind: dict[Partition, Span] = {}
        async for scanned in log.scan(stretches):
            behind |= {place: Span(gap.next, stretches[place].next) for place, gap in scanned.gaps.items()}
            yield scanned
        stretches = behind


async def _begin(reader: Reader, left: Mapping[TopicPartition, _Left]) -> None:
    """Read from the topics that are there now: one that is created again meanwhile is not read on."""
    for tp, rest in left.items():
        reader.seek(tp, rest.position)
    reader.read_nothing()
    topics = await reader.topics({tp.topic for tp in left})
    for tp, rest in left.items():
        rest.topic_id = topics[tp.topic].topic_id if tp.topic in topics else None
    reader.read_from({Partition(*tp): rest.topic_id for tp, rest in left.items()})


def _turn(left: Mapping[TopicPartition, _Left]) -> list[TopicPartition]:
    """The partitions to poll: one that has much left and of which something comes, or all together."""
    long = (tp for tp, rest in left.items() if rest.end - rest.position > _ALONE and not rest.waited)
    return next(([tp] for tp in long), list(left))


async def _scanned(
    reader: Reader,
    left: Mapping[TopicPartition, _Left],
    polled: Collection[TopicPartition],
    fetched: Mapping[TopicPartition, list[Any]],
    seconds: float,
) -> Scanned:
    """What a poll of so many seconds brought. Nothing is taken of a partition whose fetch failed."""
    scanned = Scanned([], {}, {})
    gaps: dict[Partition, Gap] = {}
    for tp in polled:
        rest, partition = left[tp], Partition(*tp)
        position = rest.position if reader.is_refused(tp) else min(await reader.position(tp), rest.end)
        if position != rest.position:
            scanned.records.extend(record for record in fetched.get(tp, ()) if record.offset < rest.end)
            scanned.spans[partition] = Span(rest.position, position)
            rest.position, rest.waited = position, 0.0
        elif position < rest.end:
            rest.waited += seconds
        if position < rest.end and (why := await _obstacle(reader, tp, rest)):
            following = min(why.next, rest.end) if isinstance(why, Unreadable) else rest.end
            gaps[partition] = Gap(position, following, why)
    return scanned._replace(gaps=gaps)


async def _obstacle(reader: Reader, tp: TopicPartition, rest: _Left) -> Unreadable | Trouble | None:
    """Why the partition cannot be read further from here; None if it can, or may soon."""
    if batch := reader.unreadable.get(Partition(*tp)):
        return batch
    failure = reader.failures.get(tp)
    if isinstance(failure, TopicAuthorizationFailedError):
        return "not_authorized"
    if isinstance(failure, OffsetOutOfRangeError):
        begin = (await reader.beginning_offsets([tp]))[tp]
        if begin <= rest.position:
            return "changed"
        reader.seek(tp, begin)
    elif failure:
        reader.seek(tp, rest.position)
    elif reader.is_refused(tp):
        # A broker that has just started may not know a topic yet.
        topic = (await reader.topics([tp.topic])).get(tp.topic)
        if topic is None or topic.topic_id != rest.topic_id:
            return "changed"
        reader.seek(tp, rest.position)
    if rest.waited < _STALLED_SECONDS:
        return None
    return "no_leader" if reader.without_leader({Partition(*tp)}) else "no_answer"
