"""What a member has fetched: records, how far each partition moved, and how many records are left."""

from collections.abc import Collection, Mapping

from aiokafka import TopicPartition

from reelsync.consumer.kafka.clients import Member
from reelsync.consumer.records import Partition, Record, Span


def lags_of(member: Member, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    """The records between the position and the readable end of each partition, as of its last fetch."""
    lags = {}
    # An assignment that has just changed is known to the member first, which refuses questions about what it lost.
    for tp in member.assignment() & {TopicPartition(*partition) for partition in positions}:
        partition, end = Partition(*tp), member.last_stable_offset(tp)
        if end is not None and end >= 0:
            lags[partition] = max(0, end - positions[partition])
    return lags


async def taken_of(
    member: Member,
    fetched: Mapping[TopicPartition, list[Record]],
    polled: Collection[Partition],
    positions: Mapping[Partition, int],
    topic_ids: Mapping[Partition, str | None],
) -> tuple[list[Record], dict[Partition, Span], dict[Partition, Record]]:
    """The records that were taken, the span of each partition that moved, and the last record of each.

    This does not wait, because every position is known. `positions` are those before the poll. Nothing is taken of a
    partition whose fetch has failed: after some errors aiokafka has moved past a record that nobody got.
    """
    readable = positions.keys() - {Partition(*tp) for tp in member.failures}
    records: list[Record] = []
    spans: dict[Partition, Span] = {}
    last: dict[Partition, Record] = {}
    for tp, taken in fetched.items():
        if (partition := Partition(*tp)) in readable:
            records += taken
            last[partition] = taken[-1]
    for partition in readable & set(polled):
        start = positions[partition]
        if (position := await member.position(TopicPartition(*partition))) != start:
            spans[partition] = Span(start, position, topic_ids[partition])
    return records, spans, last
