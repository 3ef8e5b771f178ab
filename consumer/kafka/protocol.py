"""Two requests in versions that aiokafka does not have, in which topics are identified by id (KIP-516).

A topic that is deleted and created again has the same name and another id, and an id is never used again. The layouts
are those of the Kafka protocol guide: Metadata version 12 and Fetch version 13, both new in Apache Kafka 3.1.
"""

import base64
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

UNKNOWN_TOPIC_ID = 100
INCONSISTENT_TOPIC_ID = 103

_NO_ID = bytes(16)
_ID_BYTES = 16
_UNKNOWN = -1


class TopicId(AbstractType):
    """The id of a topic as Kafka's own tools print it, 22 characters; None for the id that stands for no id."""

    @classmethod
    def encode(cls, value: str | None) -> bytes:
        """The 16 bytes of the id."""
        return _NO_ID if value is None else base64.urlsafe_b64decode(f"{value}==")

    @classmethod
    def decode(cls, data: Any) -> str | None:
        """The id in the next 16 bytes."""
        raw = data.read(_ID_BYTES)
        return None if raw == _NO_ID else base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class MetadataResponseWithIds(Response):
    """Brokers, and topics with their ids."""

    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", TopicId),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class MetadataRequestWithIds(RequestStruct):
    """Asks for topics by name."""

    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponseWithIds
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", TopicId), ("topic", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class DescribeTopics(Request[MetadataRequestWithIds]):
    """Asks which of these topics exist, in the version with ids where the broker has it. It creates none."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """The request in the best version that the broker of the connection has."""
        if has(versions, MetadataRequestWithIds):
            return self.build(MetadataRequestWithIds)
        return MetadataRequest(self._topics, allow_auto_topic_creation=False).prepare(versions)

    def build(self, request_struct_class: type[MetadataRequestWithIds]) -> MetadataRequestWithIds:
        """The request in the version with ids."""
        topics: list[Any] = [(None, topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, False, {})  # noqa: FBT003 - in the order of the layout


class FetchResponseById(Response):
    """Records of topics that are named by their ids."""

    API_KEY = 1
    API_VERSION = 13
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("session_id", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", TopicId),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("highwater_offset", Int64),
                        ("last_stable_offset", Int64),
                        ("log_start_offset", Int64),
                        (
                            "aborted_transactions",
                            CompactArray(("producer_id", Int64), ("first_offset", Int64), ("tags", TaggedFields)),
                        ),
                        ("preferred_read_replica", Int32),
                        ("message_set", CompactBytes),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class FetchRequestById(RequestStruct):
    """Asks for records of topics by their ids. For a topic that was created again the answer is an error."""

    API_KEY = 1
    API_VERSION = 13
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = FetchResponseById
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_time", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", TopicId),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("fetch_offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start_offset", Int64),
                        ("max_bytes", Int32),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        (
            "forgotten_topics",
            CompactArray(("topic_id", TopicId), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)),
        ),
        ("rack_id", CompactString()),
        ("tags", TaggedFields),
    )


class FetchById(FetchRequest):
    """A fetch of aiokafka's, restricted to the partitions that have an entry in `topic_ids`.

    It names topics by id if there are ids and the broker has that version, and otherwise by name.
    """

    def __init__(self, fetch: FetchRequest, topic_ids: Mapping[tuple[str, int], str | None]) -> None:
        self.__dict__.update(vars(fetch))
        by_name, by_id = defaultdict(list), defaultdict(list)
        for topic, parts in fetch.topics:
            for part in parts:
                if (place := (topic, part[0])) in topic_ids:
                    by_name[topic].append(part)
                    by_id[topic_ids[place]].append(part)
        self._topics = list(by_name.items())
        self._by_id = by_id

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """The request in the best version that the broker of the connection has."""
        if None in self._by_id or not has(versions, FetchRequestById):
            return super().prepare(versions)
        topics: list[Any] = [
            (topic_id, [(number, _UNKNOWN, at, _UNKNOWN, _UNKNOWN, size, {}) for number, at, size in parts], {})
            for topic_id, parts in self._by_id.items()
        ]
        limits = (self._max_wait_ms, self._min_bytes, self._max_bytes, self._isolation_level)
        return FetchRequestById(_UNKNOWN, *limits, 0, _UNKNOWN, topics, [], self._rack_id, {})


def has(versions: Mapping[int, tuple[int, int]], request: type[RequestStruct]) -> bool:
    """Whether a broker with these versions takes the request."""
    lowest, highest = versions.get(request.API_KEY, (0, _UNKNOWN))
    return lowest <= int(request.API_VERSION) <= highest
