"""The forms in which a log is published: events of the contract, whole rows, or changes of a captured table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson

from reelsync.events.debezium import RowChangeTopic, Topic

Form = Literal["events", "rows", "changes"]
"""`events`: of reelsync's contract. `rows`: the whole row after each. `changes`: that row in Debezium's envelope."""
Row = dict[str, Any]

TOPICS: Mapping[Form, Topic] = {
    "events": "video",
    "changes": RowChangeTopic(aggregate="video", version="version"),
}
"""How reelsync reads a topic of each form."""

COLUMNS = (
    *("id", "user_id", "title", "description", "avatar_id", "voice_id", "language", "resolution", "status", "progress"),
    *("error_code", "error_message", "failed_at", "started_at", "output_url", "thumbnail_url", "duration_seconds"),
    *("processing_time", "file_size", "completed_at", "deleted_at", "version", "created_at", "updated_at"),
)
"""The columns of a whole row."""
_SOURCE: Row = {
    "version": "3.6.0.Final",
    "connector": "postgresql",
    "name": "studio",
    "ts_ms": 0,
    "snapshot": "false",
    "db": "studio",
    "sequence": "",
    "ts_us": 0,
    "ts_ns": 0,
    "schema": "public",
    "table": "videos",
    "txId": 0,
    "lsn": 0,
    "xmin": None,
    "origin": None,
    "origin_lsn": None,
}
_LSN = 26_482_720
_WAL_BYTES = 560
"""The approximate size of a change in PostgreSQL's log, by which its positions rise."""


class Happened(NamedTuple):
    """One event of a video, before it is written in any form."""

    number: int
    """The number of the event in the log, from 0."""
    event_id: str
    kind: str
    time: datetime
    data: Row


def row_after(row: Row | None, happened: Happened) -> Row:
    """The whole row of a video after an event, made from `row`, the row before it. A new object."""
    time = happened.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    carried = {name: value for name, value in happened.data.items() if name != "video_id"}
    row = (row or dict.fromkeys(COLUMNS) | {"id": happened.data["video_id"], "created_at": time}) | carried
    row["updated_at"] = time
    match happened.kind:
        case "created":
            row |= {"status": "pending", "progress": 0}
        case "processing":
            row |= {"status": "processing", "progress": 0, "started_at": time}
        case "progressed":
            row["status"] = "processing"
        case "completed":
            row |= {"status": "completed", "progress": 100, "completed_at": time}
        case _:
            pass
    return row


def as_event(happened: Happened, padding: int = 0) -> bytes:
    """The event of the contract, made `padding` bytes longer by a field that readers do not know."""
    event = {
        "specversion": "1.0",
        "id": happened.event_id,
        "source": "/render/eu-1",
        "type": f"video.{happened.kind}",
        "time": happened.time.isoformat(),
        "data": happened.data,
    }
    if padding:
        event["padding"] = "x" * padding
    return orjson.dumps(event)


def as_change(happened: Happened, row: Row) -> bytes:
    """The change of a row as Debezium writes it, without its schema.

    It does not have the row before an update, because PostgreSQL logs that only with REPLICA IDENTITY FULL.
    """
    milliseconds = round(happened.time.timestamp() * 1000)
    lsn = _LSN + happened.number * _WAL_BYTES
    at: Row = {"ts_ms": milliseconds, "ts_us": milliseconds * 1_000, "ts_ns": milliseconds * 1_000_000}
    place = {"sequence": f'["{lsn}","{lsn}"]', "txId": 742 + happened.number, "lsn": lsn}
    op = "c" if row["version"] == 1 else "u"
    change = {"before": None, "after": row, "source": _SOURCE | at | place, "transaction": None, "op": op}
    return orjson.dumps(change | at)


def as_key(form: Form, video_id: str) -> bytes:
    """The key of a video's records."""
    return orjson.dumps({"id": video_id}) if form == "changes" else video_id.encode()
