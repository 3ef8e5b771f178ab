"""Logs with a value at every bound of the contract, in events and in rows that Debezium captured.

For each value there are three records of an aggregate of its own: one before, one with the value, one after. The last
would hide the value from PostgreSQL wherever a batch has both, so that verdicts that depend on the cut show.
"""

import json
from collections.abc import Iterator
from typing import Any

from reelsync.events import EVENT_DATA, EventData
from reelsync.events.json_schema import event_schema
from tests.support.builders import record, usage, user, video
from tests.support.contract_values import edges
from tests.support.row_changes import row_change, user_row, video_row

_IDS = {"user_id", "video_id", "usage_id"}
_ATTRIBUTES = ("id", "source", "time", "dataschema")
_HOLE = "here"


def edge_log() -> list[Any]:
    """Records of events. Each field is tried in one type of those of an aggregate that have it."""
    log: list[bytes] = []
    tried: set[tuple[str, ...]] = set()
    for name, data_class in EVENT_DATA.items():
        schema = event_schema(name, "reader")["properties"]
        places = {("data", field): part for field, part in schema["data"]["properties"].items() if field not in _IDS}
        places |= {(attribute,): schema[attribute] for attribute in _ATTRIBUTES}
        for place, part in places.items():
            if (data_class.aggregate, *place) not in tried:
                tried.add((data_class.aggregate, *place))
                for literal in edges(part):
                    log += _three_events(data_class, place, literal, len(log))
    return [record(value, offset) for offset, value in enumerate(log)]


def edge_rows() -> list[Any]:
    """Records of row changes."""
    log: list[Any] = []
    for number, (column, literal) in enumerate(_columns()):
        for whole in (user_row(number, full_name=None, bio=None), video_row(number, number, output_url="x")):
            row = {"deleted_at": None, "created_at": "2026-01-05T10:00:00Z"} | whole
            if column in row:
                for lsn, value in ((1, row[column]), (2, _HOLE), (3, row[column])):
                    found = row_change("u", row | {column: value}, lsn=lsn)
                    found.value, found.offset = _filled(found.value, literal), len(log)
                    log.append(found)
    return log


def _three_events(data_class: type[EventData], place: tuple[str, ...], literal: str, number: int) -> list[bytes]:
    before, between, after = (_event(data_class, number, version) for version in (1, 2, 3))
    document = json.loads(between)
    (document["data"] if len(place) == 2 else document)[place[-1]] = _HOLE
    return [before, _filled(json.dumps(document).encode(), literal), after]


def _event(data_class: type[EventData], number: int, version: int) -> bytes:
    if data_class.aggregate == "model_usage":
        return usage(number, number, number)
    values = {"username": f"user_{number}", "email": f"{number}@example.com", "title": "Harbour", "progress": 5}
    known = {name: value for name, value in values.items() if name in data_class.model_fields}
    builder = user if data_class.aggregate == "user" else video
    return builder(data_class.type.partition(".")[2], number, version, **known)


def _columns() -> Iterator[tuple[str, str]]:
    for name in ("user.created", "user.profile_updated", "video.created", "video.completed", "video.failed"):
        for column, part in event_schema(name, "reader")["properties"]["data"]["properties"].items():
            if column not in _IDS:
                yield from ((column, literal) for literal in edges(part))
    time = event_schema("user.logged_in", "reader")["properties"]["time"]
    for column in ("created_at", "last_login_at", "deleted_at", "failed_at", "started_at", "completed_at"):
        yield from ((column, literal) for literal in edges(time))


def _filled(value: bytes, literal: str) -> bytes:
    return value.replace(f'"{_HOLE}"'.encode(), literal.encode())
