"""Reading a range of a log without a group, so no position is moved."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import TopicPartition

from reelsync.consumer.errors import ReelsyncError, UnavailableError
from reelsync.consumer.records import Partition, Record, Span

if TYPE_CHECKING:
    from .log import KafkaLog

_POLL_MS = 500
_POLL_RECORDS = 2_000
_STALLED_SECONDS = 60.0
_ALONE = 2_000
"""A partition of which more offsets are left is read alone: events of one row are in one partition, and merge."""


class Scanned(NamedTuple):
    """One poll: records in log order for each partition, and how far each partition moved.

    `spans` end at the end of the scan at the latest.
    """

    records: list[Record]
    spans: dict[Partition, Span]


async def scan(log: "KafkaLog", stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
    """The readable records of these ranges, without those of open and aborted transactions.

    Close the iterator if it is left early. A span may begin later than its range, because retention and compaction
    remove records.

    Raises:
        KafkaFailedError: the brokers failed.
        ReelsyncError: a batch cannot be unpacked.
        UnavailableError: nothing moved for a minute.
    """
    ends = {TopicPartition(*partition): span.next for partition, span in stretches.items() if span.start < span.next}
    positions = {TopicPartition(*partition): span.start for partition, span in stretches.items()}
    if not ends:
        return
    async with log.reader(list(ends), isolation_level="read_committed", client_rack=log.client_rack) as reader:
        for tp in ends:
            reader.seek(tp, positions[tp])
        moved_at = time.monotonic()
        while ends:
            polled = _turn(ends, positions)
            fetched = await reader.getmany(*polled, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            records: list[Record] = []
            spans: dict[Partition, Span] = {}
            for tp, end in [(tp, ends[tp]) for tp in polled]:
                records += [record for record in fetched.get(tp, ()) if record.offset < end]
                position = min(await reader.position(tp), end)
                if position != positions[tp]:
                    spans[Partition(*tp)] = Span(positions[tp], position)
                    positions[tp] = position
                if position == end:
                    del ends[tp]
                    reader.pause(tp)
            for partition, batch in reader.unreadable.items():
                raise ReelsyncError(f"{partition} cannot be read further: {batch}")
            if spans:
                moved_at = time.monotonic()
                yield Scanned(records, spans)
            elif time.monotonic() - moved_at > _STALLED_SECONDS:
                raise _stalled(ends)


def _turn(ends: Mapping[TopicPartition, int], positions: Mapping[TopicPartition, int]) -> list[TopicPartition]:
    """The partitions to poll: one that has much left, or all of the rest together."""
    return next(([tp] for tp, end in ends.items() if end - positions[tp] > _ALONE), list(ends))


def _stalled(partitions: Iterable[TopicPartition]) -> UnavailableError:
    waiting = ", ".join(f"{tp.topic}/{tp.partition}" for tp in partitions)
    return UnavailableError(f"nothing more can be read from {waiting} for a minute: see the brokers")
