"""The trace in which a record was published: the W3C `traceparent` of its publisher, parsed strictly. Pure.

A publisher's tracing library puts it into a header. CloudEvents has an attribute of the same name: the header
`ce_traceparent` in binary mode, a member of the document in structured mode. If the content is malformed, the record
has no trace. Sources: https://www.w3.org/TR/trace-context/#traceparent-header,
https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import orjson

from reelsync.consumer.records import Record

_HEADERS = ("traceparent", "ce_traceparent")
_MEMBER = b'"traceparent"'
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    rb"(?P<more>-.*)?",
    re.DOTALL,
)
_LONGEST = 512
_SAMPLED = 0x01


class TraceContext(NamedTuple):
    """A span of another process."""

    trace_id: int
    span_id: int
    sampled: bool


def parse_traceparent(value: bytes) -> TraceContext | None:
    """The span that a `traceparent` names; None if it is malformed. Later versions of the form may be longer."""
    found = _TRACEPARENT.fullmatch(value) if len(value) <= _LONGEST else None
    if found is None or (found["version"] == b"00" and found["more"] is not None):
        return None
    trace_id, span_id = int(found["trace_id"], 16), int(found["span_id"], 16)
    if not trace_id or not span_id:
        return None
    return TraceContext(trace_id, span_id, bool(int(found["flags"], 16) & _SAMPLED))


def trace_context_of(record: Record) -> TraceContext | None:
    """The span in which the record was published: from the headers, or else from the document."""
    for wanted in _HEADERS:
        for name, content in record.headers:
            if name == wanted and content is not None and (found := parse_traceparent(content)):
                return found
    return _in_document(record.value)


def trace_contexts(records: Iterable[Record], limit: int) -> list[TraceContext]:
    """The first `limit` different spans that these records name."""
    found: dict[TraceContext, None] = {}
    for record in records:
        context = trace_context_of(record)
        if context is not None:
            found[context] = None
            if len(found) == limit:
                break
    return list(found)


def _in_document(value: bytes | None) -> TraceContext | None:
    if value is None or _MEMBER not in value:
        return None
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    attribute = document.get("traceparent") if isinstance(document, dict) else None
    # JSON may hold lone surrogates, which UTF-8 cannot encode. A valid traceparent has none.
    return parse_traceparent(attribute.encode(errors="replace")) if isinstance(attribute, str) else None
