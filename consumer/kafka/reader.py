"""aiokafka's consumer, extended to read topics by id and to create none.

A fetch by name continues at the old offset in a topic that was deleted and created again, and skips the records before
it. A fetch by id is refused by the broker. So every record that arrives here comes from the log whose id was given for
its partition.
"""

import asyncio
import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    NoError,
    for_code,
)

from reelsync.consumer.records import Partition

from .broker_client import UNKNOWN_TOPIC, Client
from .protocol import DescribeTopics, MetadataResponseWithIds
from .record_batches import ROOM, Result, Room, Unreadable

POLL_BYTES = 2_097_152
"""Twice the bytes that a batch asks for. Most polls are ended by the number of records first."""
_ANSWER_SECONDS = 10.0
_DESCRIBING = "describing"
_NOT_AUTHORIZED = 29
_NO_LEADER = -1


class Topic(NamedTuple):
    """A topic as the brokers describe it: the number of its partitions, and its id (None from brokers without ids)."""

    partitions: int
    topic_id: str | None
    leaders: Mapping[int, int] = MappingProxyType({})
    """The broker that leads each partition, without partitions that have no leader."""
    refused: bool = False
    """Whether this user may not ask about the topic. Then nothing else is known."""


class Reader(AIOKafkaConsumer):
    """A consumer that uses the client below."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        accepted = inspect.signature(AIOKafkaClient).parameters.keys() & options.keys()
        self._client = Client(**{name: options[name] for name in accepted})
        self.failures: dict[TopicPartition, KafkaError] = {}
        """Why a broker gives nothing of a partition, as of its latest answer. Until `read_nothing`, it is not asked."""

    async def start(self) -> None:
        """Connect to the brokers."""
        await super().start()
        # aiokafka would raise the error of one partition out of `getmany`, which reads the others too.
        self._fetcher._set_error = self._note_failure  # noqa: SLF001

    def _note_failure(self, tp: TopicPartition, error: KafkaError) -> None:
        self.failures[tp] = error
        self._client.refused.add(tp)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from this offset, also if a broker has refused to go on."""
        super().seek(partition, offset)
        self.failures.pop(partition, None)
        self._client.refused.discard(partition)

    def read_from(self, topic_ids: Mapping[Partition, str | None]) -> None:
        """From now on fetch these partitions from the topics with these ids, or by name where the id is None.

        After the first call, a partition without an entry is not fetched.
        """
        known = self._client.topic_ids or {}
        self._client.topic_ids = known | {TopicPartition(*place): topic_id for place, topic_id in topic_ids.items()}

    def read_nothing(self) -> None:
        """Fetch no partition until `read_from` names its topic again."""
        self._client.topic_ids = {}
        self._client.refused.clear()
        self._client.read_by_name.clear()
        self.failures.clear()

    def without_leader(self, partitions: Collection[Partition]) -> set[Partition]:
        """Those of the partitions that have no leader, as far as this client knows."""
        leader_of = self._client.cluster.leader_for_partition
        return {partition for partition in partitions if leader_of(TopicPartition(*partition)) in {None, _NO_LEADER}}

    async def getmany(self, *partitions: TopicPartition, **limits: Any) -> Any:
        """The next records of these partitions: POLL_BYTES together, plus the record that exceeds them."""
        for tp, result in list(self._fetcher._records.items()):  # noqa: SLF001
            if tp in partitions and isinstance(result, Result) and result.owes:
                # In a thread, because it may take seconds, and heartbeats must not wait.
                await asyncio.to_thread(result.pass_over)
        ROOM.set(Room(POLL_BYTES))
        return await super().getmany(*partitions, **limits)

    @property
    def unreadable(self) -> dict[Partition, Unreadable]:
        """Partitions whose next batch cannot be unpacked. Their position stays at its begin."""
        results = self._fetcher._records.items()  # noqa: SLF001
        return {Partition(*tp): batch for tp, result in results if (batch := getattr(result, "unreadable", None))}

    @property
    def refused(self) -> bool:
        """Whether a broker has refused a fetch: its topic has another id, or `failures` says why."""
        return bool(self._client.refused)

    def is_refused(self, tp: TopicPartition) -> bool:
        """Whether a broker has refused to give more of the partition since the latest `seek`."""
        return tp in self._client.refused

    @property
    def read_by_name(self) -> set[Partition]:
        """The partitions that were fetched by name, because there was no id or the broker is older than ids."""
        return {Partition(*tp) for tp in self._client.read_by_name}

    async def topics(self, names: Collection[str]) -> dict[str, Topic]:
        """Those of the topics that exist. Asking creates none.

        Raises:
            KafkaError: no broker answered, or one did not say.
        """
        if not names:
            return {}
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                # Over its own connection: on the others it would wait until a fetch is answered.
                response = await self._client.ask_any(DescribeTopics(sorted(names)), group=_DESCRIBING)
        except TimeoutError:
            raise KafkaTimeoutError from None
        found = {}
        for error_code, name, *rest in response.topics:
            if error_code == UNKNOWN_TOPIC:
                continue
            if error_code == _NOT_AUTHORIZED:
                found[name] = Topic(0, None, refused=True)
                continue
            if (error := for_code(error_code)) is not NoError:
                raise error(name)
            has_ids = response.API_VERSION == MetadataResponseWithIds.API_VERSION
            partitions = rest[2 if has_ids else 1]
            leaders = {number: leader for _, number, leader, *_ in partitions if leader != _NO_LEADER}
            found[name] = Topic(len(partitions), rest[0] if has_ids else None, leaders)
        return found
