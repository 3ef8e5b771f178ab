"""What a vector is made of: a record, and what is expected of it."""

import json
from dataclasses import dataclass
from typing import Any

from reelsync.events import EVENT_DATA, Aggregate, EventType
from reelsync.events.json_schema import example_events

VIDEO = "01944b2d-0a00-7b01-9d11-1122334455a1"
USER = "01944b2c-3f10-7a01-8c55-5f0a1b2c3d01"
USAGE = "01944b2d-7e20-7c01-b0a4-66778899aa01"
KEYS = {"video": VIDEO, "user": USER, "model_usage": USAGE}
TIMESTAMP = 1_767_607_200_000
"""2026-01-05T10:00:00Z, milliseconds."""

Document = dict[str, Any]
Headers = tuple[tuple[str, bytes | None], ...]
OF_TOPIC = "the id of an aggregate of the topic"


@dataclass(frozen=True)
class Input:
    """A record, and the verdict on it that the contract asks for.

    Args:
        name: What is special about it.
        topic: What its topic is about.
        reason: Of the dead letter; None if it is an event.
        path: Where the first problem is.
        beyond_schema: Why JSON Schema cannot say that it is wrong, if it cannot.
        max_value_bytes: How long a value may be; the default of REELSYNC_KAFKA__MAX_VALUE_BYTES if None.
    """

    name: str
    topic: Aggregate
    value: bytes | None
    headers: Headers = ()
    key: str | bytes | None = OF_TOPIC
    timestamp: int = TIMESTAMP
    reason: str | None = None
    path: str = ""
    beyond_schema: str | None = None
    max_value_bytes: int | None = None

    @property
    def key_bytes(self) -> bytes | None:
        """The key as it is sent."""
        key = KEYS[self.topic] if self.key == OF_TOPIC else self.key
        return key.encode() if isinstance(key, str) else key


def event_of(event_type: EventType, **changed: Any) -> Document:
    """The last example of the type, with other values in its data."""
    example = example_events(event_type)[-1]
    data = example["data"] | changed
    subject = data.get("usage_id") or data.get("video_id") or data["user_id"]
    return example | {"data": data, "subject": subject}


def structured(name: str, document: Document, **expected: Any) -> Input:
    """A record in structured mode, on the topic of its type's aggregate if it has one, keyed by it."""
    topic = next((cls.aggregate for kind, cls in EVENT_DATA.items() if kind == document.get("type")), "video")
    return Input(name, topic, compact(document), **expected)


def attributes_of(document: Document) -> Headers:
    """The attributes of an event as headers of binary mode."""
    return tuple((f"ce_{name}", str(content).encode()) for name, content in document.items() if name != "data")


def compact(document: object) -> bytes:
    """As JSON in UTF-8, without white space."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
