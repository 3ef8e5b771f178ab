"""Decoding the bytes of a record to an event, or to the reason why there is none. Pure.

The two verdicts for a record begin here: an event is merged, a rejection becomes a dead letter.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from reelsync.consumer.records import CUT_VALUE_BYTES, Reason, Record, Stage, StoredRecord
from reelsync.events import Aggregate, InvalidEventError, WireEvent, canonical_id, is_binary, parse_event, tombstone
from reelsync.events.debezium import (
    OutboxTopic,
    RowChangeTopic,
    Topic,
    id_in_record,
    parse_outbox_record,
    row_change_parser,
)
from reelsync.events.registry_frame import registry_frame
from reelsync.events.wire import erasure_event

_LONGEST_IDENTIFIER = 500
_STAGES: Mapping[str, Stage] = {"not_json": "decode", "not_an_event": "decode", "bad_tombstone": "decode"}


class Located(NamedTuple):
    """An event and the record it came in."""

    record: Record
    event: WireEvent


class Rejection(NamedTuple):
    """Why a record cannot be applied. `detail` names fields, codes and constraints, never a value."""

    record: Record
    stage: Stage
    reason: Reason
    detail: dict[str, Any]
    event_id: str | None = None
    event_type: str | None = None
    aggregate_id: UUID | None = None


Decode = Callable[[Record], WireEvent | Rejection]
"""The verdict on a record. It is pure: the same record always gets the same verdict."""


def decoder(topics: Mapping[str, Topic], max_value_bytes: int) -> Decode:
    """The decoder for records of these topics. If all topics are native, no topic is looked up for a record."""
    captured = {
        name: _captured_decoder(topic, max_value_bytes) for name, topic in topics.items() if not isinstance(topic, str)
    }
    aggregates = {name: topic for name, topic in topics.items() if isinstance(topic, str)}
    native = _native_decoder(aggregates, max_value_bytes)
    if not captured:
        return native

    def decode_by_topic(record: Record) -> WireEvent | Rejection:
        return captured.get(record.topic, native)(record)

    return decode_by_topic


def _native_decoder(topics: Mapping[str, Aggregate], max_value_bytes: int) -> Decode:
    """`topics` gives the aggregate of each topic. Only tombstones need it, because any topic may carry any type."""

    def decode_native(record: Record) -> WireEvent | Rejection:
        value = record.value
        if value is None:
            return _decode_null(record, topics)
        if len(value) > max_value_bytes:
            return _too_large(record, max_value_bytes, _id_in_key(record))
        try:
            return parse_event(value, record.headers)
        except InvalidEventError as error:
            if error.reason == "not_json":
                return _decode_framed(record, error, lambda r: parse_event(r.value or b"", r.headers), _reject)
            return _reject(record, error)
        except Exception as error:  # noqa: BLE001 - reported there
            return _reject_unread(record, error)

    return decode_native


def _captured_decoder(topic: RowChangeTopic | OutboxTopic, max_value_bytes: int) -> Decode:
    parse = partial(parse_outbox_record, topic=topic) if isinstance(topic, OutboxTopic) else row_change_parser(topic)
    reject = partial(_reject_captured, topic)

    def decode_captured(record: Record) -> WireEvent | Rejection:
        if len(record.value or b"") > max_value_bytes:
            return _too_large(record, max_value_bytes, _id_in_captured(record, topic))
        try:
            return parse(record)
        except InvalidEventError as error:
            if error.reason == "not_json":
                return _decode_framed(record, error, parse, reject)
            return reject(record, error)
        except Exception as error:  # noqa: BLE001 - reported there
            return _reject_unread(record, error)

    return decode_captured


def _decode_framed(
    record: Record,
    error: InvalidEventError,
    parse: Callable[[Record], WireEvent],
    reject: Callable[[Record, InvalidEventError], Rejection],
) -> WireEvent | Rejection:
    """The verdict on a record whose value is not JSON (`error`), but may be JSON in a schema registry's frame."""
    frame = registry_frame(record.value or b"", record.headers)
    if frame is None:
        return reject(record, error)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    unframed = StoredRecord(*place, record.key, frame.content, record.headers)
    try:
        return parse(unframed)
    except InvalidEventError as inner:
        shown = frame.not_json() if inner.reason == "not_json" else inner
        return reject(unframed, shown)._replace(record=record)
    except Exception as failure:  # noqa: BLE001 - reported there
        return _reject_unread(record, failure)


def _too_large(record: Record, limit: int, aggregate_id: UUID | None) -> Rejection:
    size = len(record.value or b"")
    detail = {"bytes": size, "limit": limit, **({"cut": True} if size == CUT_VALUE_BYTES else {})}
    return Rejection(record, "decode", "too_large", detail, aggregate_id=aggregate_id)


def _decode_null(record: Record, topics: Mapping[str, Aggregate]) -> WireEvent | Rejection:
    aggregate = topics.get(record.topic)
    if any(name.lower().startswith(("ce_", "ce-")) for name, _ in record.headers):
        return _bad_tombstone(record, "ce_headers", "a null value with ce_ headers is an event without data")
    if aggregate is None or aggregate == "model_usage":
        return _bad_tombstone(record, "topic", "a tombstone erases a user or a video: send it to a topic of theirs")
    if record.key is None:
        return _bad_tombstone(record, "key", "a tombstone's key is the id of what it erases, and there is none")
    try:
        erased = tombstone(aggregate, record.key, record.timestamp)
    except ValueError:
        return _bad_tombstone(record, "key", "a tombstone's key must be a UUID")
    event_id = f"{record.topic}/{record.partition}/{record.offset}"
    return erasure_event(erased, event_id=event_id, source=record.topic)


def _bad_tombstone(record: Record, path: str, message: str) -> Rejection:
    detail = {"problems": [{"path": path, "code": "bad_tombstone", "message": message}]}
    return Rejection(record, "decode", "bad_tombstone", detail, aggregate_id=_id_in_key(record))


def _reject(record: Record, error: InvalidEventError) -> Rejection:
    """The rejection of an invalid event, with the ids and the type that can be found, to help people search."""
    try:
        document = from_json(record.value or b"")
    except ValueError:
        document = None
    headers = {name.lower(): content for name, content in record.headers}
    found = document if isinstance(document, dict) else {}
    binary = is_binary(record.value, record.headers)
    attributes = {} if binary else found
    data = found if binary else found.get("data")
    return Rejection(
        record,
        _STAGES.get(error.reason, "validate"),
        error.reason,
        {"problems": [problem._asdict() for problem in error.problems]},
        event_id=_identifier(attributes.get("id"), headers.get("ce_id")),
        event_type=_identifier(attributes.get("type"), headers.get("ce_type")),
        aggregate_id=_id_in_key(record) or _id_in_data(data if isinstance(data, dict) else found),
    )


def _reject_unread(record: Record, error: Exception) -> Rejection:
    """The rejection of a record on which the decoder itself fails: a defect of ours, which must not stop other records.

    Raises:
        MemoryError: this does not depend on the record.
    """
    if isinstance(error, MemoryError):
        raise error
    message = f"the decoder failed on it ({type(error).__name__}): please report that, and redrive it when it is fixed"
    detail = {"problems": [{"path": "", "code": "decoder_failed", "message": message}]}
    return Rejection(record, "decode", "invalid", detail, aggregate_id=_id_in_key(record))


def _reject_captured(topic: RowChangeTopic | OutboxTopic, record: Record, error: InvalidEventError) -> Rejection:
    """The rejection of a record that Debezium wrote, with the ids and the type that can be found."""
    headers = dict(record.headers) if isinstance(topic, OutboxTopic) else {}
    return Rejection(
        record,
        _STAGES.get(error.reason, "validate"),
        error.reason,
        {"problems": [problem._asdict() for problem in error.problems]},
        event_id=_identifier(None, headers.get("id")),
        event_type=_identifier(None, headers.get(topic.type_header) if isinstance(topic, OutboxTopic) else None),
        aggregate_id=_id_in_captured(record, topic),
    )


def _id_in_captured(record: Record, topic: RowChangeTopic | OutboxTopic) -> UUID | None:
    found = id_in_record(record, topic)
    return None if found is None else UUID(found)


def _identifier(attribute: object, header: bytes | None) -> str | None:
    """An attribute as text that PostgreSQL can store, at most 500 characters."""
    if attribute is None and header is not None:
        attribute = header.decode(errors="replace")
    if not isinstance(attribute, str):
        return None
    return attribute.replace("\x00", "").encode(errors="replace").decode()[:_LONGEST_IDENTIFIER]


def _id_in_key(record: Record) -> UUID | None:
    try:
        return UUID(canonical_id((record.key or b"").decode()))
    except ValueError:
        return None


def _id_in_data(data: Mapping[str, Any]) -> UUID | None:
    for name in ("usage_id", "video_id", "user_id"):
        try:
            return UUID(canonical_id(data[name]))
        except (KeyError, ValueError):
            continue
    return None
