"""Checking every few seconds whether PostgreSQL and Kafka answer, and how far the group is.

This does not depend on the parts that consume: a fetcher that has stopped would still report no lag.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reelsync.consumer.background import is_cancelled
from reelsync.consumer.kafka.survey import Bounds, Survey
from reelsync.consumer.observer import Server
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.records import Partition, Span

from .health import Health


class Reading(NamedTuple):
    """What the source reads: its epoch, whether it knows what to read, and the partitions it reads."""

    epoch: int
    settled: bool
    partitions: Collection[Partition]


class OpenTransaction(NamedTuple):
    """A transaction that began at offset `first`, with the offsets that wait for its end, and when it was first seen.

    `since`: in seconds of the clock of `health`.
    """

    first: int
    offsets: int
    since: float


@dataclass
class Probe:
    """Checks both servers regularly, and reports to `health` whether they answer.

    Args:
        stored_positions: The next offset of each partition of the group, from PostgreSQL.
        survey: Where the logs of these partitions end, from Kafka.
        topics: Positions of other topics are ignored.
        reading: What the source reads at present.
        seconds: The time between two checks, and the time limit of a check.
    """

    stored_positions: Callable[[], Awaitable[dict[Partition, int]]]
    survey: Callable[[Collection[Partition]], Awaitable[Survey]]
    health: Health
    topics: Collection[str]
    reading: Callable[[], Reading]
    seconds: float = 5.0
    positions: dict[Partition, int] = field(default_factory=dict)
    """The stored position of each partition of the group."""
    ends: dict[Partition, int] = field(default_factory=dict)
    """The end of what may be read of each of them, from the last answer."""
    open_transactions: dict[Partition, OpenTransaction] = field(default_factory=dict)
    """The partitions that an open transaction holds back."""
    reached: dict[Partition, int] = field(default_factory=dict)
    """The highest position that was ever seen of each partition: a reset does not move it."""
    _epoch: int = -1

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(self.seconds)

    async def ask(self) -> None:
        """Check both once."""
        await asyncio.gather(self._reached("postgresql", self._ask_postgresql), self._reached("kafka", self._ask_kafka))
        reading = self.reading()
        if reading.epoch != self._epoch or (reading.settled and self.lag(reading.partitions) == 0):
            self._epoch = reading.epoch
            self.health.sign_of_life()

    def committed(self, positions: Mapping[Partition, int]) -> None:
        """Note the positions of a committed batch."""
        self.positions.update(positions)
        self._reach(positions)
        self.health.sign_of_life()

    def read_again(self, spans: Mapping[Partition, Span]) -> int:
        """How many offsets of these spans are below positions that were reached before."""
        ends = {partition: min(span.next, self.reached.get(partition, 0)) for partition, span in spans.items()}
        return sum(max(0, ends[partition] - span.start) for partition, span in spans.items())

    def lag(self, partitions: Collection[Partition]) -> int | None:
        """Records between the stored position and the end, over these partitions; None while one is not known."""
        if any(p not in self.positions or p not in self.ends for p in partitions):
            return None
        return sum(max(0, self.ends[p] - self.positions[p]) for p in partitions)

    async def _ask_postgresql(self) -> None:
        stored = await self.stored_positions()
        self.positions = {partition: offset for partition, offset in stored.items() if partition.topic in self.topics}
        self._reach(self.positions)

    async def _ask_kafka(self) -> None:
        found = await self.survey(self.positions.keys())
        # A partition whose leader does not answer keeps its last end.
        known = {p: end for p, end in self.ends.items() if p in found.troubles}
        self.ends = known | {p: bounds.readable for p, bounds in found.bounds.items()}
        self.open_transactions = {
            partition: self._open_transaction(partition, bounds)
            for partition, bounds in found.bounds.items()
            if bounds.readable < bounds.end and bounds.readable <= self.positions.get(partition, 0)
        }

    def _open_transaction(self, partition: Partition, bounds: Bounds) -> OpenTransaction:
        before = self.open_transactions.get(partition)
        since = before.since if before and before.first == bounds.readable else self.health.clock()
        return OpenTransaction(bounds.readable, bounds.end - bounds.readable, since)

    def _reach(self, positions: Mapping[Partition, int]) -> None:
        for partition, position in positions.items():
            self.reached[partition] = max(position, self.reached.get(partition, 0))

    async def _reached(self, server: Server, question: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await question()
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            # aiokafka cancels tasks of its own when a broker is gone, and that CancelledError may arrive here.
            self.health.not_reached(server, describe(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, there was no answer
            self.health.not_reached(server, describe(error))
        else:
            self.health.reached(server)
