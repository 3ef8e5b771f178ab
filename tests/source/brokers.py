"""Real brokers, for the contract of a source."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Self
from unittest import mock

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.reader import Reader
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.source.kafka_source import KafkaSource
from tests.services.contract import Broker
from tests.support.compaction import compact_eagerly, until_compacted
from tests.support.observing import RecordingObserver

from .rig import PARTITIONS, Positions

_LARGEST_BYTES = 2_000_000


class BrokersRig:
    """A topic of the settings, and a group of its own."""

    reader = Reader

    def __init__(self, settings: KafkaSettings, broker: Broker) -> None:
        self.positions = Positions()
        self.settings = settings
        self._broker = broker
        (self._topic,) = settings.topics
        self._published = [0] * PARTITIONS
        self._open = AsyncExitStack()
        self._transactional: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        await self._broker.create_topics({self._topic: PARTITIONS})
        self._producer = await self._started()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def place(self, number: int) -> Partition:
        return Partition(self._topic, number)

    def source(self) -> KafkaSource:
        return KafkaSource(self.settings, KafkaLog(self.settings), self.positions, RecordingObserver())

    async def publish(self, number: int, count: int, size: int = 1) -> None:
        await self._send(self._producer, number, count, size)

    @asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """The broker stands still until somebody asks over a new connection."""
        ask = KafkaLog.cluster
        with ExitStack() as frozen:

            async def thaw_and_ask(log: KafkaLog) -> object:
                frozen.close()
                return await ask(log)

            frozen.enter_context(self._broker.frozen())
            with mock.patch.object(KafkaLog, "cluster", thaw_and_ask):
                yield

    async def delete_before(self, number: int, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        await admin.start()
        await admin.delete_records({TopicPartition(*self.place(number)): RecordsToDelete(before_offset=offset)})
        await admin.close()

    async def begin_transaction(self, number: int, count: int) -> None:
        self._transactional = self._transactional or await self._started(transactional_id=self.settings.group_id)
        await self._transactional.begin_transaction()
        await self._send(self._transactional, number, count)

    async def end_transaction(self, *, commit: bool) -> None:
        producer = self._transactional
        assert producer is not None
        await (producer.commit_transaction() if commit else producer.abort_transaction())

    async def compact(self, number: int, count: int) -> int:
        async def publish() -> None:
            await self._producer.send_and_wait(self._topic, b"1", key=b"one", partition=number)

        await compact_eagerly(self.settings, self._topic)
        for _ in range(count):
            await publish()
        return await until_compacted(self.settings, self._topic, count - 1, publish)

    async def _send(self, producer: AIOKafkaProducer, number: int, count: int, size: int = 1) -> None:
        first = self._published[number]
        self._published[number] += count
        values = [str(n).rjust(size).encode() for n in range(first, first + count)]
        sent = [await producer.send(self._topic, value, partition=number) for value in values]
        await asyncio.gather(*sent)

    async def _started(self, **options: object) -> AIOKafkaProducer:
        servers = self.settings.bootstrap_servers
        producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_request_size=_LARGEST_BYTES, **options)
        await self._open.enter_async_context(producer)
        return producer
