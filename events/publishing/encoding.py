"""Makes the record that carries an event: key, value, headers, topic. It is checked as the consumer will check it.

Sources: CloudEvents Kafka Protocol Binding 1.0, sections 3.1 to 3.3; CloudEvents "Distributed Tracing" extension; W3C
Trace Context, section 3.2.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, assert_never
from uuid import UUID

from pydantic_core import to_json

from ..codec import InvalidEventError, Problem, aggregate_id, parse_event
from ..contract import TOPICS, dataschema_of
from ..data import Aggregate, EventData
from ..fields import canonical_id
from .uuid7 import uuid7

Mode = Literal["structured", "binary"]
Headers = tuple[tuple[str, bytes], ...]

MAX_VALUE_BYTES = 524_288
"""The default of REELSYNC_KAFKA__MAX_VALUE_BYTES: a consumer makes a dead letter of a longer value."""

_CONTENT_TYPES: Mapping[Mode, bytes] = {
    "structured": b"application/cloudevents+json; charset=UTF-8",
    "binary": b"application/json",
}
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}", re.ASCII)


class OutgoingRecord(NamedTuple):
    """A record that can be sent, again if necessary: its bytes, and so the event's id, stay the same.

    `id` and `type` are those of the event. For a tombstone the id is empty and the type is `<aggregate>.tombstone`.
    """

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    id: str
    type: str


@dataclass(frozen=True, kw_only=True)
class EventEncoder:
    """Makes records of events.

    Args:
        source: Who publishes, such as `/render/eu-1`: the CloudEvents attribute.
        topics: Where each aggregate's events go.
        mode: The whole event in the value, or the attributes in `ce_` headers.
        max_value_bytes: As the consumers have it set.
        trace_context: The current W3C trace context, as a mapping with `traceparent` and perhaps `tracestate`; asked
            for each event. One that is malformed is left out: tracing stops no event.
    """

    source: str
    topics: Mapping[Aggregate, str] = field(default_factory=lambda: TOPICS)
    mode: Mode = "structured"
    max_value_bytes: int = MAX_VALUE_BYTES
    trace_context: Callable[[], Mapping[str, str]] = dict

    def __post_init__(self) -> None:
        if self.mode not in _CONTENT_TYPES:
            raise ValueError(f"mode must be structured or binary, and is {self.mode!r}")
        if not self.source:
            raise ValueError("source must say who publishes, such as /render/eu-1")

    def encode(
        self,
        event: EventData,
        *,
        event_id: str | None = None,
        time: datetime | None = None,
        traceparent: str | None = None,
    ) -> OutgoingRecord:
        """The record of an event that happened at `time` (aware), or now. Its id is a new UUIDv7 if none is given.

        Raises:
            InvalidEventError: a consumer would refuse it; says why, never with a value.
            ValueError: `traceparent` is none, `time` has no offset, or no topic is for this aggregate.
        """
        if time is not None and time.utcoffset() is None:
            raise ValueError("time must have an offset: datetime.now(UTC), not datetime.now() or utcnow()")
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(uuid7()) if event_id is None else event_id,
            "source": self.source,
            "type": event.type,
            "time": datetime.now(UTC) if time is None else time,
            "subject": _subject_of(event),
            "dataschema": dataschema_of(event.type, event.schema_version),
        }
        trace = self._trace(traceparent)
        value, headers = _in_mode(self.mode, attributes | trace, event)
        if len(value) > self.max_value_bytes:
            problem = Problem("", "too_large", f"{len(value):,} bytes, and a value may have {self.max_value_bytes:,}")
            raise InvalidEventError("invalid", [problem])
        checked = parse_event(value, headers)
        headers += tuple((name, content.encode()) for name, content in trace.items())
        key = aggregate_id(checked).encode()
        return OutgoingRecord(self._topic(event.aggregate), key, value, headers, checked["id"], checked["type"])

    def tombstone(self, aggregate: Literal["user", "video"], erased: str | UUID) -> OutgoingRecord:
        """The record that erases a user or a video for good.

        Raises:
            ValueError: the id is no UUID, or nothing can be erased there: facts have no tombstone.
        """
        if aggregate not in {"user", "video"}:
            raise ValueError(f"a tombstone erases a user or a video, not a {aggregate}")
        key = canonical_id(erased).encode()
        headers = tuple((name, content.encode()) for name, content in self._trace(None).items())
        return OutgoingRecord(self._topic(aggregate), key, None, headers, "", f"{aggregate}.tombstone")

    def _topic(self, aggregate: Aggregate) -> str:
        try:
            return self.topics[aggregate]
        except KeyError:
            raise ValueError(f"no topic is for {aggregate} events: topics must name one") from None

    def _trace(self, traceparent: str | None) -> dict[str, str]:
        if traceparent is not None:
            if _TRACEPARENT.fullmatch(traceparent) is None:
                raise ValueError("traceparent must be as W3C Trace Context has it: 00-<32 hex>-<16 hex>-<2 hex>")
            return {"traceparent": traceparent}
        context = self.trace_context()
        if _TRACEPARENT.fullmatch(context.get("traceparent", "")) is None:
            return {}
        trace = {"traceparent": context["traceparent"]}
        if _TRACESTATE.fullmatch(context.get("tracestate", "")):
            trace["tracestate"] = context["tracestate"]
        return trace


def _subject_of(event: EventData) -> object:
    """The id of the aggregate or fact, without a check: `parse_event` checks it."""
    fields = event.__dict__
    return fields.get("usage_id") or fields.get("video_id") or fields.get("user_id")


def _in_mode(mode: Mode, attributes: dict[str, Any], event: EventData) -> tuple[bytes, Headers]:
    content_type = ("content-type", _CONTENT_TYPES[mode])
    if mode == "structured":
        return to_json(attributes | {"data": event}), (content_type,)
    if mode == "binary":
        return to_json(event), (content_type, *((f"ce_{name}", _text(part)) for name, part in attributes.items()))
    assert_never(mode)


def _text(attribute: object) -> bytes:
    return to_json(attribute).strip(b'"') if isinstance(attribute, datetime) else str(attribute).encode()
