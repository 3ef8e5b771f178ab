"""What the tables must hold after a set of records, calculated by `consumer/operations/verify`.

The records are decoded by the standard library's JSON alone, so that nothing is shared with the consumer's own code.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from reelsync.consumer.operations.verify.changes import ERASED, Row
from reelsync.consumer.operations.verify.reference import Oracle, Tables


class ValidRecord(Protocol):
    """A record that carries a valid event, or is a tombstone."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...  # noqa: D102
    @property
    def timestamp_ms(self) -> int: ...  # noqa: D102


def expected_tables(records: Iterable[ValidRecord], *more: str) -> Tables:
    """The rows by table and id, also of `more` tables. A row that is only referred to is `{"version": 0}`."""
    oracle = Oracle()
    for record in records:
        oracle.add(*(_read_tombstone(record) if record.value is None else read_event(record.value, record.headers)))
    return oracle.tables(*more)


def differences(expected: Tables, actual: Tables, limit: int = 50) -> list[str]:
    """Each difference in a line; at most `limit` of them."""
    found: list[str] = []
    for table, rows in expected.items():
        held_rows = actual.get(table, {})
        found += [f"{table} {row_id}: missing" for row_id in sorted(rows.keys() - held_rows.keys())]
        found += [f"{table} {row_id}: should not be there" for row_id in sorted(held_rows.keys() - rows.keys())]
        for row_id in sorted(rows.keys() & held_rows.keys()):
            for column, value in rows[row_id].items():
                held = held_rows[row_id].get(column)
                if held != value:
                    found.append(f"{table} {row_id} {column}: expected {value!r}, found {held!r}")
        if len(found) >= limit:
            return found[:limit]
    return found


def read_event(value: bytes, given: Iterable[tuple[str, bytes | None]] = ()) -> tuple[str, datetime, Row]:
    """The type, the time and the data of a valid event, whose headers are given."""
    headers = {name: content for name, content in given if content is not None}
    document = json.loads(value)
    if "ce_type" in headers:
        document = {"type": headers["ce_type"].decode(), "time": headers["ce_time"].decode(), "data": document}
    data = document["data"]
    for name in ("video_id", "user_id", "usage_id"):
        if name in data:
            data[name] = str(UUID(data[name]))
    return document["type"], datetime.fromisoformat(document["time"]).astimezone(UTC), data


def _read_tombstone(record: ValidRecord) -> tuple[str, datetime, Row]:
    milliseconds = min(max(record.timestamp_ms, 0), 7_258_118_400_000)
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    row_id = str(UUID((record.key or b"").decode()))
    aggregate = "user" if "user" in record.topic else "video"
    return f"{aggregate}.tombstone", time, {f"{aggregate}_id": row_id, "version": ERASED + milliseconds}
