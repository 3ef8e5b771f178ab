"""A client of the brokers that fetches topics by id, creates none, and passes over brokers that are gone."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.metadata import MetadataRequest

from .group_refusals import GroupFullError
from .protocol import INCONSISTENT_TOPIC_ID, UNKNOWN_TOPIC_ID, FetchById, FetchResponseById

UNKNOWN_TOPIC = 3
_REFUSALS = frozenset({UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID})
_NOTHING_TO_FETCH_SECONDS = 0.1
_BOOTSTRAP_SECONDS = 1.0


class Client(AIOKafkaClient):
    """A client that turns aiokafka's fetches by name into fetches by id, and creates no topic when it asks for one."""

    topic_ids: dict[TopicPartition, str | None] | None = None
    """The topic that each partition is fetched from; None until `read_from` is called: then fetches are by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.refused: set[TopicPartition] = set()
        self.read_by_name: set[TopicPartition] = set()
        self.is_refused_by_full_group = False
        """Whether the group has as many members as it may have, by the latest answer to a request to join."""
        self._bootstrapping: asyncio.Task[None] | None = None
        self._unreachable: set[Any] = set()
        """Nodes to which the latest connection failed. Brokers name one that is gone for some seconds."""

    async def ask_any(self, request: Any, **options: Any) -> Any:
        """The answer of any broker: those that cannot be reached are passed over."""
        for _ in self.cluster.brokers():
            with suppress(NodeNotReadyError):
                return await self.send(self.get_random_node(), request, **options)
        raise KafkaConnectionError

    def get_random_node(self) -> Any:
        """A broker, if possible one that could be reached when last tried."""
        nodes = {broker.nodeId for broker in self.cluster.brokers()}
        return random.choice(sorted(nodes - self._unreachable or nodes)) if nodes else None  # noqa: S311 - no secret

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
            response = await super().send(node_id, request, **options)
            if isinstance(request, JoinGroupRequest):
                self.is_refused_by_full_group = response.error_code == GroupFullError.errno
            return response
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
        (self._unreachable.discard if connection else self._unreachable.add)(node_id)
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
