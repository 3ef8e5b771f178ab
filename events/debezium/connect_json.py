"""Reads what Kafka Connect's converters write as keys, values and headers, whatever it means.

JsonConverter writes `{"schema": …, "payload": …}` while `schemas.enable` is on, and the payload alone while it is off;
StringConverter writes text as it is. Sources: Kafka Connect's `JsonConverter`; Debezium's "Temporal types".
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import from_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS_PER_SECOND = {
    "io.debezium.time.Timestamp": 1_000,
    "io.debezium.time.MicroTimestamp": 1_000_000,
    "io.debezium.time.NanoTimestamp": 1_000_000_000,
    "org.apache.kafka.connect.data.Timestamp": 1_000,
}
"""Units in a second, for the types that count time since 1970 in whole numbers."""


def parse_json(text: bytes | str) -> Any:
    """The JSON document in `text`; NaN and infinities are refused.

    Raises:
        ValueError: it is not JSON.
    """
    return from_json(text, allow_inf_nan=False)


def unwrapped(document: Any) -> tuple[Any, Mapping[str, Any]]:
    """The payload, and its schema; an empty schema if schemas are off."""
    if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
        schema = document["schema"]
        return document["payload"], schema if isinstance(schema, dict) else {}
    return document, {}


def text_of(content: bytes) -> str:
    """A string that a converter wrote, StringConverter or JsonConverter, with a schema or without.

    Raises:
        ValueError: it is not a string.
    """
    plain = content.decode()
    if not plain.startswith(('"', "{")):
        return plain
    text, _ = unwrapped(parse_json(content))
    if not isinstance(text, str):
        raise ValueError("not a text")  # noqa: TRY004 - of the content
    return text


def semantic_types(schema: Mapping[str, Any], field: str) -> dict[str, str]:
    """For the columns of the struct `field` whose type has a name: that name."""
    for struct in _fields(schema):
        if struct.get("field") == field:
            named = ((column.get("field"), column.get("name")) for column in _fields(struct))
            return {column: name for column, name in named if isinstance(column, str) and isinstance(name, str)}
    return {}


def as_time(value: int, semantic_type: str | None) -> datetime | None:
    """The time that a whole number means; None if its type is not one of time, or there is no such time."""
    per_second = TICKS_PER_SECOND.get(semantic_type or "")
    if per_second is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=value * 1_000_000 // per_second)
    except OverflowError:
        return None


def _fields(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    fields = schema.get("fields")
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
