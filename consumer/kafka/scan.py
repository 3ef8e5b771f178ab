"""Reading a range of a log without a group, so no position is moved."""

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
    """One poll: records in log order for each partition, and how far each partition moved.

    `spans` end at the end of the scan at the latest.
    """

    records: list[Record]
    spans: dict[Partition, Span]


async def scan(log: KafkaLog, stretches: Mapping[Partition, Span]) -> AsyncIterator[Scanned]:
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
                raise ReelsyncError(f"{partition} cannot be read further: {batch}")
            if spans:
                moved_at = time.monotonic()
                yield Scanned(records, spans)
            elif time.monotonic() - moved_at > _STALLED_SECONDS:
                waiting = ", ".join(f"{tp.topic}/{tp.partition}" for tp in ends)
                raise UnavailableError(f"nothing more can be read from {waiting} for a minute: see the brokers")
