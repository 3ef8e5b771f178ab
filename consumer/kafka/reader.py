"""aiokafka's consumer, extended to read topics by id and to create none.

A fetch by name continues at the old offset in a topic that was deleted and created again, and skips the records before
it. A fetch by id is refused by the broker. So every record that arrives here comes from the log whose id was given for
its partition.
"""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaTimeoutError, NoError, for_code
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.metadata import MetadataRequest

from reelsync.consumer.records import Partition

from .protocol import (
    INCONSISTENT_TOPIC_ID,
    UNKNOWN_TOPIC_ID,
    DescribeTopics,
    FetchById,
    FetchResponseById,
    MetadataResponseWithIds,
)
from .record_batches import ROOM, Result, Room, Unreadable

POLL_BYTES = 2_097_152
"""Twice the bytes that a batch asks for. Most polls are ended by the number of records first."""
_NOTHING_TO_FETCH_SECONDS = 0.1
_ANSWER_SECONDS = 10.0
_BOOTSTRAP_SECONDS = 1.0
_DESCRIBING = "describing"
_UNKNOWN_TOPIC = 3
_REFUSALS = frozenset({_UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID})


class Topic(NamedTuple):
    """A topic as the brokers describe it: the number of its partitions, and its id (None from brokers without ids)."""

    partitions: int
    topic_id: str | None


class Reader(AIOKafkaConsumer):
    """A consumer that uses the client below."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        accepted = inspect.signature(AIOKafkaClient).parameters.keys() & options.keys()
        self._client = Client(**{name: options[name] for name in accepted})

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
        """Whether a broker has refused a fetch, because its topic has another id."""
        return bool(self._client.refused)

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
        node, question = self._client.get_random_node(), DescribeTopics(sorted(names))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                # Over its own connection: on the others it would wait until a fetch is answered.
                response = await self._client.send(node, question, group=_DESCRIBING)
        except TimeoutError:
            raise KafkaTimeoutError from None
        found = {}
        for error_code, name, *rest in response.topics:
            if error_code == _UNKNOWN_TOPIC:
                continue
            if (error := for_code(error_code)) is not NoError:
                raise error(name)
            has_ids = response.API_VERSION == MetadataResponseWithIds.API_VERSION
            partitions = rest[2 if has_ids else 1]
            found[name] = Topic(len(partitions), rest[0] if has_ids else None)
        return found


class Client(AIOKafkaClient):
    """A client that turns aiokafka's fetches by name into fetches by id, and creates no topic when it asks for one."""

    topic_ids: dict[TopicPartition, str | None] | None = None
    """The topic that each partition is fetched from; None until `read_from` is called: then fetches are by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.refused: set[TopicPartition] = set()
        self.read_by_name: set[TopicPartition] = set()
        self._bootstrapping: asyncio.Task[None] | None = None

    async def bootstrap(self) -> None:
        """Find the brokers. A cancelled caller stops waiting; the work goes on, and `close` waits for it."""
        # aiokafka's own method leaves its connection open if it is cancelled.
        self._bootstrapping = asyncio.create_task(super().bootstrap())
        await asyncio.shield(self._bootstrapping)

    async def close(self) -> None:
        """Close all connections, including the one of a bootstrap whose caller was cancelled."""
        if self._bootstrapping:
            await asyncio.wait({self._bootstrapping}, timeout=_BOOTSTRAP_SECONDS)
            self._bootstrapping.cancel()
            await asyncio.gather(self._bootstrapping, return_exceptions=True)
        await super().close()

    async def send(self, node_id: Any, request: Any, **options: Any) -> Any:
        """The answer to a request. The answer to a fetch has only records of topics with the given ids."""
        if self.topic_ids is None or not isinstance(request, FetchRequest):
            return await super().send(node_id, request, **options)
        fetched = [TopicPartition(topic, part[0]) for topic, parts in request.topics for part in parts]
        asked = {tp: self.topic_ids[tp] for tp in fetched if tp in self.topic_ids and tp not in self.refused}
        if not asked:
            await asyncio.sleep(_NOTHING_TO_FETCH_SECONDS)
            return FetchResponse_v11(0, 0, 0, [])
        response = await super().send(node_id, FetchById(request, asked), **options)
        if response.API_VERSION != FetchResponseById.API_VERSION:
            self.read_by_name.update(asked)
            return response
        return FetchResponse_v11(0, 0, 0, self._accepted(response, asked))

    def _accepted(self, response: Any, asked: Mapping[TopicPartition, str | None]) -> list[tuple[str, list[Any]]]:
        """The answer to a fetch by id in the form of an answer by name, without what was refused."""
        answers = {(topic_id, part[0]): part for topic_id, parts, _ in response.topics for part in parts}
        by_name = defaultdict(list)
        for tp, topic_id in asked.items():
            if self.topic_ids is None or self.topic_ids.get(tp) != topic_id:
                continue  # It is to be read from another topic since.
            # The embedded broker answers without an id if it does not know the id that was asked for.
            part = answers.get((topic_id, tp.partition)) or answers.get((None, tp.partition))
            if part is not None and part[1] in _REFUSALS:
                self.refused.add(tp)
                self.force_metadata_update()
            elif part is not None:
                by_name[tp.topic].append(_without_tags(part))
        return list(by_name.items())

    async def _get_conn(self, node_id: Any, **options: Any) -> Any:
        """The connection over which aiokafka's `_metadata_update` asks for topics."""
        connection = await super()._get_conn(node_id, **options)
        return connection and _CreatesNoTopic(connection)


class _CreatesNoTopic:
    """A connection for metadata. aiokafka's own request would create a missing topic where the broker allows it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, request: MetadataRequest) -> Any:
        """Send the request in a form that creates nothing."""
        return self._connection.send(MetadataRequest(request._topics, allow_auto_topic_creation=False))  # noqa: SLF001


def _without_tags(part: tuple[Any, ...]) -> tuple[Any, ...]:
    """A partition's answer in the layout of version 11, which has no tagged fields."""
    *before, aborted, replica, records, _ = part
    return *before, [(producer, first) for producer, first, _ in aborted or ()], replica, records or b""
