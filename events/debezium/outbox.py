"""Records of the outbox event router: event id and type in headers, the aggregate's id as key, the data as value.

Source: Debezium's documentation, "Outbox Event Router".
"""

import json
from datetime import UTC, datetime, timedelta

from ..codec import InvalidEventError, Problem, not_json, parse_event
from ..tombstones import tombstone
from ..wire import WireEvent, erasure_event
from .connect_json import parse_json, text_of, unwrapped
from .keys import id_in_key
from .topics import CapturedRecord, OutboxTopic

_ID_HEADER = "id"
_SCHEMA_HEADER = "dataschema"


def parse_outbox_record(record: CapturedRecord, topic: OutboxTopic) -> WireEvent:
    """The event in a row of an outbox table.

    The payload is the event's data, as JSON or as a string that holds JSON. It may also be a whole structured
    CloudEvent, which then needs no headers.

    Raises:
        InvalidEventError: there is none; the error says why, with the path of each problem.
    """
    if record.value is None:
        return _parse_null(record, topic)
    payload = _payload(record.value)
    if _is_structured(payload):
        return parse_event(payload)
    headers = _headers(record, topic)
    attributes = {
        "specversion": "1.0",
        "id": headers.get(_ID_HEADER),
        "source": record.topic,
        "type": headers.get(topic.type_header),
        "time": headers.get(topic.time_header) or _iso(record.timestamp),
        "dataschema": headers.get(_SCHEMA_HEADER),
    }
    missing = [name for name in ("id", "type") if not attributes[name]]
    if missing:
        raise InvalidEventError("not_an_event", [_missing_header(name, topic) for name in missing])
    binary = [(f"ce_{name}", text.encode()) for name, text in attributes.items() if text]
    try:
        return parse_event(payload, [*binary, ("content-type", b"application/json")])
    except InvalidEventError as error:
        named = [_in_headers(problem, topic) for problem in error.problems]
        raise InvalidEventError(error.reason, {problem.path: problem for problem in named}.values()) from None


def _payload(value: bytes) -> bytes:
    """The JSON that was in the table's column: without the converter's schema and quotes, where it added any."""
    try:
        document, schema = unwrapped(parse_json(value))
    except ValueError:
        raise InvalidEventError("not_json", [not_json(value)]) from None
    if isinstance(document, str):
        return document.encode()
    return json.dumps(document).encode() if schema else value


def _is_structured(payload: bytes) -> bool:
    if b'"specversion"' not in payload:
        return False
    try:
        document = parse_json(payload)
    except ValueError:
        return False
    return isinstance(document, dict) and "specversion" in document


def _headers(record: CapturedRecord, topic: OutboxTopic) -> dict[str, str]:
    """The headers that are needed, as text, without the header converter's schema and quotes."""
    found: dict[str, str] = {}
    for name, content in record.headers:
        if content is not None and name in {_ID_HEADER, _SCHEMA_HEADER, topic.type_header, topic.time_header}:
            try:
                found[name] = text_of(content)
            except ValueError:
                problem = Problem(f"header {name}", "header_encoding", "must be text in UTF-8")
                raise InvalidEventError("invalid", [problem]) from None
    return found


def _iso(timestamp_ms: int) -> str:
    """The record's timestamp as ISO 8601, if it is a time; validation says what is wrong with others."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=timestamp_ms)).isoformat()
    except OverflowError:
        return str(timestamp_ms)


def _missing_header(attribute: str, topic: OutboxTopic) -> Problem:
    if attribute == "id":
        return Problem(
            "header id", "missing", "the outbox event router sends this header: does the topic have another layout?"
        )
    placed = f"table.fields.additional.placement=type:header:{topic.type_header}"
    return Problem(
        f"header {topic.type_header}", "missing", f"the event's type: have the router place it with {placed}"
    )


def _in_headers(problem: Problem, topic: OutboxTopic) -> Problem:
    """Change the paths of binary mode to the router's header names. One time may have several problems."""
    if problem.path.startswith("ce_time"):
        return Problem(f"header {topic.time_header}", "time", "must be a time with an offset, from 1970 to 2200")
    names = {"ce_id": _ID_HEADER, "ce_type": topic.type_header, "type": topic.type_header}
    name = names.get(problem.path)
    return problem if name is None else problem._replace(path=f"header {name}")


def _parse_null(record: CapturedRecord, topic: OutboxTopic) -> WireEvent:
    """A row without payload erases only if its type says so, and not because a type is missing: it cannot be undone."""
    if topic.aggregate == "model_usage":
        raise _bad("topic", "a null value erases a user or a video: send it to a topic of theirs")
    event_type = _headers(record, topic).get(topic.type_header)
    erasing = f"{topic.aggregate}.erased"
    if event_type is None:
        raise _bad(f"header {topic.type_header}", f"is missing: a row without payload erases if its type is {erasing}")
    if event_type != erasing:
        raise _bad("value", f"an event without payload; a row without payload erases if its type is {erasing}")
    try:
        erased = tombstone(topic.aggregate, id_in_key(record.key or b"", "id").encode(), record.timestamp)
    except ValueError:
        raise _bad("key", "a null value's key is the id of what it erases, a UUID") from None
    return erasure_event(erased, event_id=f"{record.topic}/{record.partition}/{record.offset}", source=record.topic)


def _bad(path: str, message: str) -> InvalidEventError:
    return InvalidEventError("bad_tombstone", [Problem(path, "bad_tombstone", message)])
