"""Reading a stretch of a log from its begin to a position, as a member of no group: it moves nobody's position."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from aiokafka import TopicPartition

from reelsync.consumer.errors import ReelsyncError, UnavailableError
from reelsync.consumer.records import Partition, Record, Span

from .log import KafkaLog

_POLL_MS = 500
_POLL_RECORDS = 2_000
_STALLED_SECONDS = 60.0


class Scanned(NamedTuple):
    """What one poll brought: records in log order for each partition, and how far each partition moved.

    `spans` end at the scan's own end at the latest, whatever the log has beyond.
    """

    records: list[Record]
    spans: dict[Partition, Span]


async def scan(log: KafkaLog, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
    """The records of these stretches that may be read: those of open and aborted transactions are left out.

    Close the iterator if it is left early. The first offset that a span moves over may be beyond its start: retention
    and compaction remove records.

    Raises:
        KafkaFailedError: the brokers did not do as asked.
        ReelsyncError: a batch cannot be unpacked.
        UnavailableError: nothing moved for a minute.
    """
    ends = {TopicPartition(*partition): span.next for partition, span in stretches.items() if span.start < span.next}
    positions = {TopicPartition(*partition): span.start for partition, span in stretches.items()}
    if not ends:
        return
    async with log.reader(list(ends), isolation_level="read_committed") as reader:
        for tp in ends:
            reader.seek(tp, positions[tp])
        moved_at = time.monotonic()
        while ends:
            fetched = await reader.getmany(*ends, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
            records: list[Record] = []
            spans: dict[Partition, Span] = {}
            for tp, end in list(ends.items()):
                records += [record for record in fetched.get(tp, ()) if record.offset < end]
                position = min(await reader.position(tp), end)
                if position != positions[tp]:
                    spans[Partition(*tp)] = Span(positions[tp], position)
                    positions[tp] = position
                if position == end:
                    del ends[tp]
                    reader.pause(tp)
            for partition, batch in reader.unreadable.items():
                raise ReelsyncError(f"{partition} cannot be read on: {batch}")
            if spans:
                moved_at = time.monotonic()
                yield Scanned(records, spans)
            elif time.monotonic() - moved_at > _STALLED_SECONDS:
                waiting = ", ".join(f"{tp.topic}/{tp.partition}" for tp in ends)
                raise UnavailableError(f"nothing more can be read of {waiting} for a minute: see the brokers")
