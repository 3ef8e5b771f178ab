"""Row changes: turns Debezium's envelope into an event that sets every facet of which the row has columns.

Source: Debezium's PostgreSQL connector, "Data change events"; the connector for MySQL writes the same envelope.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from ..codec import InvalidEventError, Problem, not_json
from ..fields import EARLIEST_TIME, LATEST_TIME, MAX_VERSION
from ..tombstones import tombstone
from ..wire import RowChangeType, WireEvent, erasure_event
from .connect_json import parse_json, semantic_types, unwrapped
from .keys import id_in_key
from .row_schema import RowPicker
from .rows import CapturedRow, facets_of
from .topics import CapturedRecord, RowChangeTopic

_ROW_CHANGED: Mapping[str, RowChangeType] = {"user": "user.row_changed", "video": "video.row_changed"}
_ROW_DELETED: Mapping[str, RowChangeType] = {"user": "user.row_deleted", "video": "video.row_deleted"}
_ROW_TOMBSTONE: Mapping[str, RowChangeType] = {"user": "user.row_tombstone", "video": "video.row_tombstone"}
_SET = ("c", "r", "u")
"""A row was inserted, read by a snapshot, or updated."""
_TRUNCATED = "a TRUNCATE names no rows: skip it with skipped.operations=t, and DELETE the rows instead"
_NO_ENVELOPE = "has no op and no source: send Debezium's whole envelope, without the transform ExtractNewRecordState"
_NO_VERSION = "must be a whole number from 1 to 2^62 - 1"
_NO_POSITION = "is missing, as in rows of an incremental snapshot: these need a version in a column"
_LATEST_MICROSECONDS = (LATEST_TIME - EARLIEST_TIME) // timedelta(microseconds=1)
_FILE = re.compile(r"[A-Za-z0-9._-]{1,200}")


def row_change_parser(topic: RowChangeTopic) -> Callable[[CapturedRecord], WireEvent]:
    """A `parse_row_change` for one topic, many times as fast, because it reads nearly all changes in one pass."""
    picker = RowPicker(topic)

    def parse(record: CapturedRecord) -> WireEvent:
        picked = picker.pick(record.value) if record.value is not None else None
        return parse_row_change(record, topic) if picked is None else _picked_event(picked, record, topic)

    return parse


def parse_row_change(record: CapturedRecord, topic: RowChangeTopic) -> WireEvent:
    """The event that a row change means.

    An insert, an update or a row of a snapshot sets facets. A deleted row sets `deleted_at` if `deletes` is
    `soft_delete`, and the null value that Debezium sends after it does nothing; if `deletes` is `erase`, both erase.

    Raises:
        InvalidEventError: it means none; the error says why, with the path of each problem.
    """
    if record.value is None:
        return _parse_null(record, topic)
    try:
        document = parse_json(record.value)
    except ValueError:
        raise InvalidEventError("not_json", [not_json(record.value)]) from None
    payload, schema = unwrapped(document)
    if not isinstance(payload, dict) or not isinstance(payload.get("source"), dict) or "op" not in payload:
        raise InvalidEventError("not_an_event", [Problem("", "no_envelope", _NO_ENVELOPE)])
    operation = payload["op"]
    if operation == "t":
        raise _invalid("op", "truncate", _TRUNCATED)
    if operation != "d" and operation not in _SET:
        raise _invalid("op", "operation", "must be c, r, u or d")
    change = _Change(record, topic, payload, schema)
    return change.removed() if operation == "d" else change.changed()


def _picked_event(picked: Mapping[str, Any], record: CapturedRecord, topic: RowChangeTopic) -> WireEvent:
    """The event of a row that was inserted, read or updated."""
    id_field = f"{topic.aggregate}_id"
    data = {
        id_field: picked[id_field],
        "version": picked["version"],
        "facets": picked["facets"],
        "created_at": picked.get("created_at"),
    }
    if topic.aggregate == "video":
        data["user_id"] = picked["user_id"]
    if topic.deletes == "soft_delete":
        # A row that exists was not deleted, or was inserted again.
        data["facets"].setdefault("deletion", {"deleted_at": None})
    source = picked["source"]
    return _event(_ROW_CHANGED[topic.aggregate], data, _id_of(source, record), record, _time_of(source))


@dataclass(frozen=True)
class _Change:
    """One envelope with its schema."""

    record: CapturedRecord
    topic: RowChangeTopic
    payload: Mapping[str, Any]
    schema: Mapping[str, Any]

    def changed(self) -> WireEvent:
        row = self._row("after")
        facets, created_at = facets_of(row)
        picked = {
            f"{self.topic.aggregate}_id": row.id_of("id"),
            "version": self._version(row),
            "facets": facets,
            "created_at": created_at,
            "source": self.source,
        }
        if self.topic.aggregate == "video":
            picked["user_id"] = row.id_of("user_id")
        return _picked_event(picked, self.record, self.topic)

    def removed(self) -> WireEvent:
        row = self._row("before")
        removed_id = (
            row.id_of("id") if self.topic.column_of_table("id") in row.columns else _id_in_key(self.record, self.topic)
        )
        event_id, time = _id_of(self.source, self.record), _time_of(self.source)
        if self.topic.deletes == "erase":
            milliseconds = (time - EARLIEST_TIME) // timedelta(milliseconds=1)
            erased = tombstone(self.topic.aggregate, removed_id.encode(), milliseconds)
            return erasure_event(erased, event_id=event_id, source=self.record.topic)
        data: dict[str, Any] = {f"{self.topic.aggregate}_id": removed_id, "version": self._version(row)}
        if self.topic.aggregate == "video":
            data["user_id"] = row.id_of("user_id")
        return _event(_ROW_DELETED[self.topic.aggregate], data, event_id, self.record, time)

    @property
    def source(self) -> Mapping[str, Any]:
        """The position of the change in the upstream database's log."""
        return cast("Mapping[str, Any]", self.payload["source"])

    def _row(self, where: Literal["before", "after"]) -> CapturedRow:
        columns = self.payload.get(where)
        if columns is None and where == "before":
            columns = {}
        if not isinstance(columns, dict):
            raise _invalid(where, "dict_type", "must be an object, the row")
        return CapturedRow(columns, self.topic, where, semantic_types(self.schema, where))

    def _version(self, row: CapturedRow) -> int:
        """The version of this change: above the last version of the row, if it is deleted and says which that was."""
        column = self.topic.version_column
        if column is None:
            name = self.topic.version.removeprefix("source.")
            version = self.source.get(name)
            if type(version) is not int or not 1 <= version <= MAX_VERSION:
                raise _invalid(f"source.{name}", "version", _NO_POSITION if version is None else _NO_VERSION)
            return version
        if row.where == "after":
            return row.version_of(column)
        row.check_whole()
        return min(row.version_of(column) + 1, MAX_VERSION)


def _time_of(source: Mapping[str, Any]) -> datetime:
    """When it happened: the time of the commit, or of the snapshot."""
    microseconds = source.get("ts_us")
    if type(microseconds) is not int:
        milliseconds = source.get("ts_ms")
        microseconds = milliseconds * 1000 if type(milliseconds) is int else -1
    if not 0 <= microseconds <= _LATEST_MICROSECONDS:
        raise _invalid("source.ts_ms", "time", "must be milliseconds since 1970, up to the year 2200")
    return EARLIEST_TIME + timedelta(microseconds=microseconds)


def _id_of(source: Mapping[str, Any], record: CapturedRecord) -> str:
    """An id that is the same when Debezium sends the change again after a restart."""
    if type(source.get("lsn")) is int:
        return f"{source['lsn']}"
    if isinstance(source.get("file"), str) and _FILE.fullmatch(source["file"]) and type(source.get("pos")) is int:
        row = source.get("row")
        return f"{source['file']}:{source['pos']}:{row if type(row) is int else 0}"
    return _place(record)


def _parse_null(record: CapturedRecord, topic: RowChangeTopic) -> WireEvent:
    """The null value that follows a deletion, so that compaction removes the earlier records of the row."""
    erased = tombstone(topic.aggregate, _id_in_key(record, topic).encode(), record.timestamp)
    if topic.deletes == "erase":
        return erasure_event(erased, event_id=_place(record), source=record.topic)
    data = {f"{topic.aggregate}_id": erased.aggregate_id}
    return _event(_ROW_TOMBSTONE[topic.aggregate], data, _place(record), record, erased.time)


def _event(
    event_type: RowChangeType, data: dict[str, Any], event_id: str, record: CapturedRecord, time: datetime
) -> WireEvent:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": record.topic,
        "type": event_type,
        "time": time,
        "subject": None,
        "dataschema": None,
        "data": data,
    }


def _id_in_key(record: CapturedRecord, topic: RowChangeTopic) -> str:
    column = topic.column_of_table("id")
    try:
        return id_in_key(record.key or b"", column)
    except ValueError:
        message = f"the key of a deleted row must be its id, a UUID: as an object with {column}, or as text"
        raise InvalidEventError("bad_tombstone", [Problem("key", "bad_tombstone", message)]) from None


def _place(record: CapturedRecord) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _invalid(path: str, code: str, message: str) -> InvalidEventError:
    return InvalidEventError("invalid", [Problem(path, code, message)])
