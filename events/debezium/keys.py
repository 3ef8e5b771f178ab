"""Finds the id in the key of a record, or in a record that is not valid, so that an erasure finds its dead letter."""

from ..fields import canonical_id
from .connect_json import parse_json, text_of, unwrapped
from .topics import CapturedRecord, OutboxTopic, RowChangeTopic


def id_in_key(key: bytes, id_column: str) -> str:
    """The id in a key: a struct with `id_column`, or a string.

    Raises:
        ValueError: the key has none.
    """
    if key.lstrip().startswith(b"{"):
        named, _ = unwrapped(parse_json(key))
        named = named.get(id_column) if isinstance(named, dict) else named
    else:
        named = text_of(key)
    if not isinstance(named, str):
        raise ValueError("the key names no id")  # noqa: TRY004 - of the content
    return canonical_id(named)


def id_in_record(record: CapturedRecord, topic: RowChangeTopic | OutboxTopic) -> str | None:
    """The id of the user or video that a record is about, if it can be found."""
    id_column = topic.column_of_table("id") if isinstance(topic, RowChangeTopic) else "id"
    try:
        return id_in_key(record.key or b"", id_column)
    except ValueError:
        return _id_in_rows(record, id_column) if isinstance(topic, RowChangeTopic) else None


def _id_in_rows(record: CapturedRecord, id_column: str) -> str | None:
    try:
        payload, _ = unwrapped(parse_json(record.value or b""))
        rows = [payload.get(row) for row in ("after", "before")] if isinstance(payload, dict) else []
        return next((canonical_id(row[id_column]) for row in rows if isinstance(row, dict) and id_column in row), None)
    except ValueError:
        return None
