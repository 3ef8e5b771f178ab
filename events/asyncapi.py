"""The contract as an AsyncAPI 3.0 document: topics, keys, and every message in both content modes of CloudEvents.

Sources: AsyncAPI 3.0.0 specification; its Kafka bindings 0.5.0; CloudEvents Kafka Protocol Binding 1.0, sections 3.1 to
3.3. Payloads are the writers' schemas, in keywords that the schemas of AsyncAPI (JSON Schema draft 7) share.
"""

from typing import Literal

from .contract import EVENT_DATA, TOPICS, EventType
from .data import Aggregate
from .json_schema import JsonObject, data_schema, event_schema, example_data, example_events

_STRUCTURED = "application/cloudevents+json"
_BINARY = "application/json"
_KAFKA = "0.5.0"
_PARTITIONING = (
    "The record's key is the id of the user, the video or the usage record, in UTF-8, and decides the partition. All "
    "records of one user or video are in one partition only if all publishers use the same partitioner: murmur2, as in "
    "Kafka's Java client and aiokafka (librdkafka: partitioner=murmur2_random)."
)
_ERASED: tuple[Literal["user", "video"], ...] = ("user", "video")
_DELETED: dict[str, EventType] = {"user": "user.deleted", "video": "video.deleted"}


def asyncapi_document(version: str) -> JsonObject:
    """The document, for release `version` of the contract."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "reelsync events",
            "version": version,
            "description": "What publishers send to reelsync. It reads each message in either content mode.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": _STRUCTURED,
        "channels": {TOPICS[aggregate]: _channel_of(aggregate) for aggregate in TOPICS},
        "operations": {f"consume-{TOPICS[aggregate]}": _operation_of(aggregate) for aggregate in TOPICS},
        "components": {
            "messages": {
                **{f"{name}.structured": _structured(name) for name in EVENT_DATA},
                **{f"{name}.binary": _binary(name) for name in EVENT_DATA},
                **{f"{aggregate}.tombstone": _tombstone(aggregate) for aggregate in _ERASED},
            },
            "schemas": {
                **{name: _event_payload(name) for name in EVENT_DATA},
                **{f"{name}.data": data_schema(name, "writer") for name in EVENT_DATA},
            },
        },
    }


def _channel_of(aggregate: Aggregate) -> JsonObject:
    return {
        "address": TOPICS[aggregate],
        "title": f"{aggregate} events",
        "description": f"Topic of {aggregate} events, by default. {_PARTITIONING}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages_of(aggregate)},
        "bindings": {"kafka": {"topic": TOPICS[aggregate], "bindingVersion": _KAFKA}},
    }


def _operation_of(aggregate: Aggregate) -> JsonObject:
    channel = f"#/channels/{TOPICS[aggregate]}"
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "summary": f"reelsync reads {aggregate} events and merges them.",
        "bindings": {"kafka": {"groupId": {"type": "string", "default": "reelsync"}, "bindingVersion": _KAFKA}},
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _messages_of(aggregate)],
    }


def _messages_of(aggregate: Aggregate) -> list[str]:
    types = [name for name, cls in EVENT_DATA.items() if cls.aggregate == aggregate]
    tombstones = [f"{aggregate}.tombstone"] if aggregate in _ERASED else []
    return [f"{name}.{mode}" for name in types for mode in ("structured", "binary")] + tombstones


def _event_payload(event_type: EventType) -> JsonObject:
    """The event's schema with its data by reference: an AsyncAPI document has no use for its dialect and id."""
    schema = {name: part for name, part in event_schema(event_type, "writer").items() if not name.startswith("$")}
    data = {"data": {"$ref": f"#/components/schemas/{event_type}.data"}}
    return schema | {"properties": schema["properties"] | data}


def _structured(event_type: EventType) -> JsonObject:
    return _message(event_type, "structured") | {
        "contentType": _STRUCTURED,
        "headers": _headers({"content-type": _one(f"{_STRUCTURED}; charset=UTF-8")}, required=[]),
        "payload": {"$ref": f"#/components/schemas/{event_type}"},
        "examples": [
            {"name": _example_name(number), "payload": event} for number, event in enumerate(example_events(event_type))
        ],
    }


def _binary(event_type: EventType) -> JsonObject:
    schema = event_schema(event_type, "writer")
    attributes = {name: part for name, part in schema["properties"].items() if name not in {"data", "datacontenttype"}}
    headers = {f"ce_{name}": _header(part) for name, part in attributes.items()}
    required = [f"ce_{name}" for name in schema["required"] if name != "data"]
    return _message(event_type, "binary") | {
        "contentType": _BINARY,
        "headers": _headers({"content-type": _one(_BINARY)} | headers, required=["content-type", *required]),
        "payload": {"$ref": f"#/components/schemas/{event_type}.data"},
        "examples": [
            {"name": _example_name(number), "headers": _headers_of(event), "payload": data}
            for number, (event, data) in enumerate(
                zip(example_events(event_type), example_data(event_type), strict=True)
            )
        ],
    }


def _message(event_type: EventType, mode: str) -> JsonObject:
    data = data_schema(event_type, "writer")
    return {
        "name": event_type,
        "title": f"{event_type}, {mode} mode",
        "summary": data["description"],
        "bindings": {"kafka": {"key": _key(data), "bindingVersion": _KAFKA}},
    }


def _tombstone(aggregate: Literal["user", "video"]) -> JsonObject:
    return {
        "name": f"{aggregate}.tombstone",
        "title": f"Erasure of a {aggregate}",
        "summary": f"A null value without ce_ headers erases the {aggregate} that the key names, for good.",
        "description": (
            "Every column takes its erased value, above every version that a publisher can send, and the dead letters "
            f"of the {aggregate} are blanked. On its own topic only. Other aggregates need tombstones of their own."
        ),
        "bindings": {"kafka": {"key": _key(data_schema(_DELETED[aggregate], "writer")), "bindingVersion": _KAFKA}},
        "payload": {"type": "null"},
        "examples": [{"name": "erase", "payload": None}],
    }


def _key(data: JsonObject) -> JsonObject:
    field = next(name for name in ("usage_id", "video_id", "user_id") if name in data["properties"])
    key: JsonObject = data["properties"][field]
    return key | {"description": f"The `{field}`, in UTF-8."}


def _header(schema: JsonObject) -> JsonObject:
    """An attribute as a header: text, and absent rather than null."""
    texts: list[JsonObject] = [part for part in schema.get("anyOf", [schema]) if part["type"] == "string"]
    described = {name: part for name, part in schema.items() if name == "description"}
    return texts[0] | described


def _headers(properties: JsonObject, *, required: list[str]) -> JsonObject:
    return {"type": "object", "properties": properties, "required": required}


def _headers_of(event: JsonObject) -> JsonObject:
    attributes = {f"ce_{name}": content for name, content in event.items() if name != "data"}
    return {"content-type": _BINARY} | attributes


def _one(content: str) -> JsonObject:
    return {"type": "string", "const": content}


def _example_name(number: int) -> str:
    return "smallest" if number == 0 else "whole"
