"""The simulated brokers of tests/simulation, for the contract of a source."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any

from reelsync.consumer.records import Partition, Poll
from reelsync.consumer.source.kafka_source import KafkaSource
from tests.simulation.consumer import SETTINGS, simulated
from tests.simulation.kafka import Effect, SimulatedKafka
from tests.simulation.member import SimulatedLog
from tests.simulation.reader import SimulatedReader
from tests.simulation.scenario import abandon
from tests.simulation.world import PROCESS, Process, World
from tests.support.observing import RecordingObserver

from .rig import PARTITIONS, Positions, Rig

_TOPIC = "video-events"
_NONE = Effect("none")


class SimulatedSource(KafkaSource):
    """A source whose work is done in a process of its own."""

    def __init__(self, process: Process, *parts: Any) -> None:
        super().__init__(*parts)
        self._context = copy_context()
        self._context.run(PROCESS.set, process)

    async def poll(self, max_records: int, partitions: Collection[Partition]) -> Poll:
        return await self._inside(super().poll(max_records, partitions))

    async def leave(self) -> None:
        await self._inside(super().leave())

    async def _inside(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.get_running_loop().create_task(work, context=self._context)


class SimulatedRig:
    """Simulated brokers: the seed of the world decides how long each answer takes."""

    reader = SimulatedReader

    def __init__(self, world: World) -> None:
        self.positions = Positions()
        self._world = world
        self._kafka = SimulatedKafka(world, {_TOPIC: PARTITIONS}, has_ids=True)
        # No database is there that could have less than Kafka is told of.
        self._kafka.written = {self.place(number): 1_000_000 for number in range(PARTITIONS)}
        self._members = 0
        self._in_transaction = 0

    def place(self, number: int) -> Partition:
        return Partition(_TOPIC, number)

    def source(self) -> KafkaSource:
        self._members += 1
        process = Process(f"p{self._members}", self._kafka)
        log = SimulatedLog(SETTINGS, self._kafka)
        return SimulatedSource(process, SETTINGS, log, self.positions, RecordingObserver())

    async def publish(self, number: int, count: int, _size: int = 1) -> None:
        log = self._kafka.topics[_TOPIC][number]
        for _ in range(count):
            log.append(str(log.end).encode(), None, _NONE)
        self._kafka.changed()

    @asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """Partitions that have no leader get no answers either."""
        for log in self._kafka.partitions:
            log.leaderless_until = float("inf")
        yield
        for log in self._kafka.partitions:
            log.leaderless_until = 0.0
        self._kafka.changed()

    async def delete_before(self, number: int, offset: int) -> None:
        self._kafka.topics[_TOPIC][number].begin = offset

    async def begin_transaction(self, number: int, count: int) -> None:
        log = self._kafka.topics[_TOPIC][number]
        log.open_at, self._in_transaction = log.end, number
        await self.publish(number, count)

    async def end_transaction(self, *, commit: bool) -> None:
        log = self._kafka.topics[_TOPIC][self._in_transaction]
        if not commit:
            log.abort()
        log.open_at = None
        log.skip(1)
        self._kafka.changed()

    async def compact(self, number: int, count: int) -> int:
        await self.publish(number, count)
        log = self._kafka.topics[_TOPIC][number]
        for offset in range(log.end - 1):
            log.records.pop(offset, None)
        return log.end


def try_simulated(clause: Callable[[Rig], Awaitable[None]], seed: int) -> None:
    """Try a clause on simulated brokers, in virtual time."""
    world, state = World(seed), random.getstate()
    random.seed(seed)
    with simulated():
        asyncio.set_event_loop(world.clock)
        try:
            world.clock.run_until_complete(clause(SimulatedRig(world)))
        finally:
            abandon(world)
            random.setstate(state)
    if world.violation:
        raise world.violation
