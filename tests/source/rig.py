"""What the contract of a source is tried on: a topic of three partitions, a group, and positions that are stored."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from reelsync.consumer.kafka.neighbours import Home
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Partition, Poll, Record, anchor_of
from reelsync.consumer.source.kafka_source import KafkaSource

PARTITIONS = 3
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.02


class Positions:
    """Stored positions, as PostgreSQL has them for a consumer."""

    def __init__(self) -> None:
        self.stored: dict[Partition, Stored] = {}

    async def home(self) -> Home:
        return Home("one", "in memory")

    async def positions(
        self,
        cluster_id: str | None,
        starts: Mapping[Partition, int],
        topic_ids: Mapping[Partition, str | None] | None = None,
    ) -> dict[Partition, Stored]:
        for place, start in starts.items():
            self.stored.setdefault(place, Stored(start, cluster_id, None, (topic_ids or {}).get(place)))
        return {place: self.stored[place] for place in starts}

    async def adopt(
        self, held: Mapping[Partition, Stored], topic_ids: Mapping[Partition, str | None]
    ) -> set[Partition]:
        same = {place for place, position in held.items() if self.stored[place] == position}
        self.stored |= {place: held[place]._replace(topic_id=topic_ids[place]) for place in same}
        return same

    def store(self, poll: Poll) -> None:
        """What a transaction does with a poll. It fails, as the fence does, if another position is stored."""
        for place, span in poll.spans.items():
            held = self.stored[place]
            assert (span.start, span.topic_id) == (held.next_offset, held.topic_id), f"{place}: {span}, but {held}"
            last = poll.last.get(place)
            self.stored[place] = held._replace(next_offset=span.next, anchor=anchor_of(last) if last else held.anchor)

    def move(self, place: Partition, offset: int) -> None:
        """What a person does: the position, and no anchor."""
        self.stored[place] = Stored(offset, None, None)


class Rig(Protocol):
    """Brokers, real or simulated. The values of a partition are its numbers from 0 on, unless a size is given."""

    positions: Positions
    reader: type[Any]
    """The client that the source reads with."""

    def place(self, number: int) -> Partition:
        """A partition of the topic."""

    def source(self) -> KafkaSource:
        """One more member of the group, which has not joined yet."""

    async def publish(self, number: int, count: int, size: int = 1) -> None:
        """Publish so many records to a partition, each with a value of at least this size."""

    def silence(self) -> AbstractAsyncContextManager[None]:
        """During the block connections that are open get no answers."""

    async def delete_before(self, number: int, offset: int) -> None:
        """Delete the records of a partition before an offset, as retention does."""

    async def begin_transaction(self, number: int, count: int) -> None:
        """Publish so many records in a transaction that stays open."""

    async def end_transaction(self, *, commit: bool) -> None:
        """Commit or abort it."""

    async def compact(self, number: int, count: int) -> int:
        """Publish so many records of one key, or more, and compact away all before the last of these; the log's end."""


class Reading:
    """A member of the group as the loop uses it. Each poll is checked for what is true of all polls."""

    def __init__(self, rig: Rig) -> None:
        self.source = rig.source()
        self.polls: list[Poll] = []

    @property
    def places(self) -> set[Partition]:
        """The partitions that it reads."""
        return set(self.source.positions)

    @property
    def taken(self) -> dict[Partition, list[int]]:
        """The offsets that were taken so far, in their order."""
        return offsets_of([record for poll in self.polls for record in poll.records])

    async def poll(self, at_most: int = 500, partitions: Collection[Partition] | None = None) -> Poll:
        """One poll, of all partitions that it reads if none are given."""
        poll = await self.source.poll(at_most, list(self.source.positions) if partitions is None else partitions)
        assert len(poll.records) <= at_most
        assert poll.epoch <= self.source.epoch
        taken = offsets_of(poll.records)
        assert taken.keys() == poll.last.keys() <= poll.spans.keys()
        for place, span in poll.spans.items():
            offsets = taken.get(place, [])
            assert offsets == sorted(set(offsets))
            assert all(span.start <= offset < span.next for offset in offsets)
            assert poll.epoch != self.source.epoch or self.source.positions.get(place, span.next) == span.next
        assert all(poll.last[place].offset == offsets[-1] for place, offsets in taken.items())
        self.polls.append(poll)
        return poll

    async def take(self, count: int, at_most: int = 500, partitions: Collection[Partition] | None = None) -> list[int]:
        """Poll until so many records came; their offsets."""
        records: list[Record] = []
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(records) < count:
                records += (await self.poll(min(at_most, count - len(records)), partitions)).records
        return [record.offset for record in records]

    async def reach(self, positions: Mapping[Partition, int]) -> None:
        """Poll until these are the positions of partitions that it reads."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not positions.items() <= self.source.positions.items():
                await self.poll()

    async def settle(self, count: int) -> None:
        """Take no records until it reads so many partitions."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.source.positions) != count:
                await self.poll(partitions=())
                await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def reading(rig: Rig) -> AsyncIterator[Reading]:
    """A member, which leaves in the end."""
    member = Reading(rig)
    try:
        yield member
    finally:
        await member.source.leave()


@asynccontextmanager
async def polling(*members: Reading) -> AsyncIterator[None]:
    """During the block the members poll without end. Their errors are raised."""
    over = asyncio.Event()

    async def poll(member: Reading) -> None:
        while not over.is_set():
            await member.poll()

    tasks = [asyncio.create_task(poll(member)) for member in members]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def share(*members: Reading) -> None:
    """Wait until members that poll read all partitions, each of them some."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not all(member.places for member in members) or sum(len(m.places) for m in members) != PARTITIONS:
            await asyncio.sleep(_PAUSE_SECONDS)
    assert len(set().union(*(member.places for member in members))) == PARTITIONS


def offsets_of(records: Collection[Record]) -> dict[Partition, list[int]]:
    """The offsets of records by partition, in their order."""
    found: dict[Partition, list[int]] = {}
    for record in records:
        found.setdefault(Partition(record.topic, record.partition), []).append(record.offset)
    return found
