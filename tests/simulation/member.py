"""A member of the group in the place of aiokafka's, and questions to the brokers in the place of those of `KafkaLog`.

As with aiokafka, a rebalance forgets positions and pauses, and tasks run between an assignment and its callback.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from reelsync.consumer.errors import UnavailableError
from reelsync.consumer.kafka.log import KafkaLog, translated
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings

from .assigned import State
from .kafka import CLUSTER, SimulatedKafka
from .reader import SimulatedReader
from .world import PROCESS, Process


class SimulatedMember(SimulatedReader):
    """A member of the group, in the place of `Member`."""

    def __init__(self, kafka: SimulatedKafka, process: Process, number: int) -> None:
        super().__init__(kafka)
        self.name = f"{process.name}.{number}"
        self.process = process
        self.is_gone = False
        self._client = SimpleNamespace(close=self._close)
        self._fetcher = None
        self._needed = asyncio.Event()
        self._formed = asyncio.Event()
        self._belonging: asyncio.Task[None] | None = None
        self._joining: asyncio.Future[tuple[int, list[TopicPartition]]] | None = None
        self.divided = None
        if kafka.struck is None:
            self.waits_at_least = 1.0 if self.world.is_prompt else self.world.rng.choice((1.0, 5.0, 20.0))

    def subscribe(self, _topics: list[str], listener: Any) -> None:
        self._listener = listener

    async def start(self) -> None:
        await self._ask("start")
        self._belonging = asyncio.create_task(self._belong())

    async def stop(self) -> None:
        self._closed = True
        self._needed.set()
        self._formed.set()
        if self._joining is not None:
            self._joining.cancel()
        self.kafka.changed()
        if self._belonging is not None:
            await asyncio.wait({self._belonging})
        await self._close()
        await self.world.step("leave")
        self.kafka.group.leave(self)

    def must_rejoin(self) -> None:
        self._needed.set()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self._ask("commit to Kafka")
        for tp, offset in offsets.items():
            written = self.kafka.written.get(Partition(*tp), 0)
            if offset > written:
                raise self.world.violated(f"{tp} was committed to Kafka up to {offset}, and written up to {written}")
        if not self.kafka.group.has(self) or self._needed.is_set():
            self._needed.set()
            raise CommitFailedError
        self.kafka.told |= {Partition(*tp): offset for tp, offset in offsets.items()}

    async def _until_assigned(self) -> None:
        if not self._formed.is_set():
            await self._formed.wait()
            await self.world.thaw()

    async def _belong(self) -> None:
        while not self._closed:
            self._needed.clear()
            self._formed.clear()
            await self._call("revoked", self._listener.on_partitions_revoked, set(self._states))
            assigned = None
            while assigned is None and not self._closed:
                assigned = await self._join()
            if assigned is None:
                break
            # aiokafka begins where Kafka was told, if it can, until the callback says otherwise.
            self._states = {tp: State(self.kafka.told.get(Partition(*tp))) for tp in assigned}
            self._formed.set()
            if self.world.rng.random() < 0.5:
                # aiokafka lets other tasks run between the new assignment and the callback.
                await asyncio.sleep(0)
            await self._call("assigned", self._listener.on_partitions_assigned, set(assigned))
            self.kafka.changed()
            await self._needed.wait()
            await self.world.thaw()

    async def _join(self) -> list[TopicPartition] | None:
        joining = self._joining = self.kafka.group.join(self)
        await asyncio.wait({joining})
        if joining.cancelled():
            return None
        generation, assigned = joining.result()
        await self.world.step("joined")
        if self.kafka.group.has(self) and self.kafka.group.generation == generation and not self._closed:
            self._needed.clear()
        return assigned

    async def _call(self, what: str, callback: Any, partitions: set[TopicPartition]) -> None:
        self.world.note(what, *sorted(f"{tp.topic}/{tp.partition}" for tp in partitions))
        try:
            called = callback(partitions)
            if called is not None:
                await called
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it
            self.world.violated(f"the callback for {what} partitions raised {error!r}")

    async def _close(self) -> None:
        """Close the connections: the group finds out after the session timeout."""
        self._closed = self.is_gone = True
        if self._belonging is not None:
            self._belonging.cancel()
        self.kafka.group.lost(self.process)


class SimulatedLog(KafkaLog):
    """Questions to the simulated brokers."""

    def __init__(self, settings: KafkaSettings, kafka: SimulatedKafka) -> None:
        super().__init__(settings)
        self._kafka = kafka

    async def cluster(self) -> tuple[str | None, dict[str, int]]:
        world = self._kafka.world
        await world.step("cluster")
        if self._kafka.is_down or world.happens("brokers fail"):
            raise UnavailableError("no broker answers")
        return CLUSTER, {topic: len(logs) for topic, logs in self._kafka.topics.items()}

    @asynccontextmanager
    async def reader(self, partitions: list[TopicPartition], **_options: Any) -> AsyncIterator[Any]:
        reader = SimulatedReader(self._kafka)
        reader.assign(partitions)
        with translated():
            await reader.start()
            yield reader


async def join_as_process(_settings: KafkaSettings, _home: object) -> SimulatedMember:
    """A member for the process of the present task, in the place of `new_member`."""
    process = PROCESS.get()
    process.members += 1
    return SimulatedMember(process.brokers, process, process.members)
