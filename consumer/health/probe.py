"""Checking every few seconds whether PostgreSQL and Kafka answer, and how far the group is.

This does not depend on the parts that consume: a fetcher that has stopped would still report no lag.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reelsync.consumer.background import is_cancelled
from reelsync.consumer.observer import Server
from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.records import Partition

from .health import Health


class Reading(NamedTuple):
    """What the source reads: its epoch, whether it knows what to read, and the partitions it reads."""

    epoch: int
    settled: bool
    partitions: Collection[Partition]


@dataclass
class Probe:
    """Checks both servers regularly, and reports to `health` whether they answer.

    Args:
        stored_positions: The next offset of each partition of the group, from PostgreSQL.
        readable_ends: The readable end of each partition, from Kafka.
        topics: Positions of other topics are ignored.
        reading: What the source reads at present.
        seconds: The time between two checks, and the time limit of a check.
    """

    stored_positions: Callable[[], Awaitable[dict[Partition, int]]]
    readable_ends: Callable[[Collection[Partition]], Awaitable[dict[Partition, int]]]
    health: Health
    topics: Collection[str]
    reading: Callable[[], Reading]
    seconds: float = 5.0
    positions: dict[Partition, int] = field(default_factory=dict)
    """The stored position of each partition of the group."""
    ends: dict[Partition, int] = field(default_factory=dict)
    """The end of each of them, from the last answer."""
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
        self.health.sign_of_life()

    def lag(self, partitions: Collection[Partition]) -> int | None:
        """Records between the stored position and the end, over these partitions; None while one is not known."""
        if any(p not in self.positions or p not in self.ends for p in partitions):
            return None
        return sum(max(0, self.ends[p] - self.positions[p]) for p in partitions)

    async def _ask_postgresql(self) -> None:
        stored = await self.stored_positions()
        self.positions = {partition: offset for partition, offset in stored.items() if partition.topic in self.topics}

    async def _ask_kafka(self) -> None:
        self.ends = await self.readable_ends(self.positions.keys())

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
