"""Turns the bytes of a record into a validated event: CloudEvents 1.0 over Kafka, structured and binary mode.

Source: CloudEvents Kafka Protocol Binding 1.0, sections 3.1 to 3.3.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

from pydantic_core import ValidationError, from_json

from .contract import EVENT_DATA, EventType, check_subject, dataschema_of
from .data import Aggregate
from .upcasting import UnknownSchemaError, UpcastError, schema_version, upcast
from .wire import WireEvent, validate_attributes, validate_data, validate_structured

Headers = Sequence[tuple[str, bytes | None]]
InvalidReason = Literal["bad_tombstone", "not_json", "not_an_event", "unknown_type", "unknown_schema", "invalid"]

_ATTRIBUTE_NAMES = ("specversion", "id", "source", "type", "time", "subject", "dataschema")


_HTTP_HEADERS = "the headers begin with ce-, as over HTTP: over Kafka they must begin with ce_"
_PREFIXES: Mapping[bytes, str] = {
    b"\x00": "it begins with a zero byte, as a serializer with a schema registry writes it: send JSON alone",
    b"\xef\xbb\xbf": "it begins with a byte order mark: send it without",
    b"\xff\xfe": "it begins with the byte order mark of UTF-16: send it in UTF-8",
    b"\xfe\xff": "it begins with the byte order mark of UTF-16: send it in UTF-8",
}
"""First bytes of values that are not JSON, and what probably wrote them."""


class Problem(NamedTuple):
    """One error of an event: its path, a code for machines, and a sentence. It never holds a value of the event."""

    path: str
    code: str
    message: str


class InvalidEventError(ValueError):
    """The bytes are not a valid event of the contract."""

    def __init__(self, reason: InvalidReason, problems: Iterable[Problem]) -> None:
        self.reason: InvalidReason = reason
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in self.problems))


def parse_event(value: bytes, headers: Headers = ()) -> WireEvent:
    """The event that a record carries.

    Raises:
        InvalidEventError: it carries none; the error says why, with the path of each problem.
    """
    if headers and is_binary(value, headers):
        return _parse_binary(value, headers)
    try:
        event = validate_structured(value)
    except ValidationError as error:
        return _upcast_structured(value, headers, error)
    subject = event["subject"]
    # Nearly all events are about a video: this is checked here, without a call.
    if subject is not None and subject != event["data"].get("video_id"):
        _check_subject(event)
    return event


def is_binary(value: bytes | None, headers: Headers) -> bool:
    """Whether the attributes are in `ce_` headers and `value` is the data alone.

    The content type decides where it names CloudEvents. Without one the whole event is assumed to be in the value,
    unless the value shows no attributes while the headers do (`datacontenttype` is optional in binary mode).
    """
    content_type: bytes | None = None
    has_attributes = False
    for name, content in headers:
        lowered = name.lower()
        if lowered == "content-type":
            content_type = content
        elif lowered.startswith("ce_"):
            has_attributes = True
    if content_type is not None and content_type.lower().startswith(b"application/cloudevents"):
        return False
    return has_attributes and (content_type is not None or value is None or b'"specversion"' not in value)


def aggregate_id(event: WireEvent) -> str:
    """The id of the aggregate or fact that the event is about: its record's key."""
    data = event["data"]
    found: str = data.get("usage_id") or data.get("video_id") or data["user_id"]
    return found


def aggregate_of(event: WireEvent) -> Aggregate:
    """What the event is about: the first part of its type."""
    return cast("Aggregate", event["type"].partition(".")[0])


def _check_subject(event: WireEvent) -> None:
    try:
        check_subject(event["subject"], event["data"])
    except ValueError as error:
        raise InvalidEventError("invalid", [Problem("subject", "subject_mismatch", str(error))]) from None


def _parse_binary(value: bytes, headers: Headers) -> WireEvent:
    attributes: dict[str, str] = {}
    for name, content in headers:
        attribute = name.lower().removeprefix("ce_")
        if name.lower().startswith("ce_") and attribute in _ATTRIBUTE_NAMES and content is not None:
            try:
                attributes[attribute] = content.decode()
            except UnicodeDecodeError:
                problem = Problem(f"ce_{attribute}", "header_encoding", "must be UTF-8")
                raise InvalidEventError("invalid", [problem]) from None
    event_type = _known_type(attributes.get("type"))
    version, current = _schema_version(attributes.get("dataschema"), event_type), EVENT_DATA[event_type].schema_version
    if version < current:
        attributes["dataschema"] = dataschema_of(event_type, current)
    try:
        event = validate_attributes(attributes)
    except ValidationError as error:
        raise _invalid(error, skip=1, prefix="ce_") from None
    try:
        if version < current:
            value = _dump(_upcast(_object(value), event_type, version))
        event["data"] = validate_data(event_type, value)
    except ValidationError as error:
        raise _invalid(error, skip=0, prefix="data.", value=value) from None
    _check_subject(event)
    return event


def _upcast_structured(value: bytes, headers: Headers, error: ValidationError) -> WireEvent:
    """Distinguish an event of an older schema, which is made a current one, from an event that is not valid."""
    document = _object(value)
    if "type" not in document and any(name.lower().startswith("ce-") for name, _ in headers):
        raise InvalidEventError("not_an_event", [Problem("type", "missing", _HTTP_HEADERS)])
    event_type = _known_type(document.get("type"))
    version = _schema_version(document.get("dataschema"), event_type)
    current = EVENT_DATA[event_type].schema_version
    if version == current or not isinstance(document.get("data"), dict):
        raise _invalid(error, skip=1) from None
    document["data"] = _upcast(document["data"], event_type, version)
    document["dataschema"] = dataschema_of(event_type, current)
    try:
        event = validate_structured(_dump(document))
    except ValidationError as upcast_error:
        raise _invalid(upcast_error, skip=1) from None
    _check_subject(event)
    return event


def _upcast(data: dict[str, Any], event_type: EventType, version: int) -> dict[str, Any]:
    try:
        return upcast(data, event_type, version)
    except UpcastError as error:
        raise InvalidEventError("invalid", [Problem("data", "upcast_failed", str(error))]) from None


def _object(value: bytes) -> dict[str, Any]:
    try:
        document = from_json(value)
    except ValueError:
        raise InvalidEventError("not_json", [not_json(value)]) from None
    if not isinstance(document, dict):
        problem = Problem("", "not_an_object", "the value is JSON, but not an object")
        raise InvalidEventError("not_an_event", [problem])
    return document


def not_json(value: bytes) -> Problem:
    """The problem of a value that is not JSON, with the likely cause if its first bytes show one."""
    causes = (cause for prefix, cause in _PREFIXES.items() if value.startswith(prefix))
    return Problem("", "json_invalid", ": ".join(["the value is not JSON", *causes]))


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _known_type(event_type: object) -> EventType:
    if event_type is None:
        raise InvalidEventError("not_an_event", [Problem("type", "missing", "a CloudEvent must have a type")])
    for known in EVENT_DATA:
        if known == event_type:
            return known
    raise InvalidEventError("unknown_type", [Problem("type", "unknown_type", "no event of the contract has this type")])


def _schema_version(dataschema: object, event_type: EventType) -> int:
    try:
        return schema_version(dataschema, event_type)
    except UnknownSchemaError as error:
        raise InvalidEventError("unknown_schema", [Problem("dataschema", "unknown_schema", str(error))]) from None


def _invalid(error: ValidationError, *, skip: int, prefix: str = "", value: bytes = b"") -> InvalidEventError:
    """The errors of Pydantic as problems. The first `skip` parts of each path name the union's choice, not a field."""
    problems = [
        Problem((prefix + ".".join(map(str, found["loc"][skip:]))).rstrip("."), found["type"], found["msg"])
        for found in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    if problems and problems[0].code == "json_invalid":
        return InvalidEventError("not_json", [not_json(value)])
    return InvalidEventError("invalid", problems)
