"""What the tables must hold after a set of records, worked out in the plainest way: no order, no batches, no merge.

All events of an aggregate are collected and sorted by version; each facet is what the highest version says that sets
it. Shares no code with the consumer.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import UUID

ERASED = 2**62
Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]

_DETAILS = ("title", "description", "avatar_id", "voice_id", "language", "resolution")
_ACCOUNT = ("username", "email", "avatar_url")
_PROFILE = ("full_name", "company", "locale", "timezone", "bio")
_OUTPUT = ("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size")
_FACETS: dict[str, dict[str, Row]] = {
    "users": {
        "account": dict.fromkeys(_ACCOUNT),
        "activation": {"is_active": True},
        "preferences": {"preferences": {}},
        "login": {"last_login_at": None},
        "deletion": {"deleted_at": None},
    },
    "user_profiles": {"profile": dict.fromkeys(_PROFILE)},
    "videos": {
        "details": dict.fromkeys(_DETAILS),
        "state": dict.fromkeys(("status", "progress", "error_code", "error_message")),
        "start": {"started_at": None},
        "output": dict.fromkeys((*_OUTPUT, "completed_at")),
        "deletion": {"deleted_at": None},
    },
}
"""For each table and facet, the columns and what they hold while no event has set them."""


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


class _Said(NamedTuple):
    """What one event says of one row: its version and time, and the columns of each facet that it sets."""

    version: int
    time: datetime
    facets: Mapping[str, Row]
    owner: str | None = None


def expected_tables(records: Iterable[ValidRecord]) -> Tables:
    """The rows by table and id. A row that others refer to, and of which nothing was said, is `{"version": 0}`."""
    said: dict[str, dict[str, list[_Said]]] = {table: defaultdict(list) for table in _FACETS}
    tables: Tables = {"users": {}, "user_profiles": {}, "videos": {}, "model_usage": {}}
    for record in records:
        if record.value is None:
            _hear_tombstone(record, said)
            continue
        event_type, time, data = _read(record)
        if event_type == "model_usage.recorded":
            tables["model_usage"].setdefault(data["usage_id"], _fact(data, time))
            tables["videos"].setdefault(data["video_id"], {"version": 0})
        else:
            _hear_event(event_type, time, data, said)
        tables["users"].setdefault(data["user_id"], {"version": 0})
    for table, by_id in said.items():
        tables[table] |= {row_id: _row(table, row_id, statements) for row_id, statements in by_id.items()}
    return tables


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


def _read(record: ValidRecord) -> tuple[str, datetime, Row]:
    headers = {name: content for name, content in record.headers if content is not None}
    document = json.loads(record.value or b"")
    if "ce_type" in headers:
        document = {"type": headers["ce_type"].decode(), "time": headers["ce_time"].decode(), "data": document}
    data = document["data"]
    for name in ("video_id", "user_id", "usage_id"):
        if name in data:
            data[name] = str(UUID(data[name]))
    return document["type"], datetime.fromisoformat(document["time"]).astimezone(UTC), data


def _hear_tombstone(record: ValidRecord, said: dict[str, dict[str, list[_Said]]]) -> None:
    milliseconds = min(max(record.timestamp_ms, 0), 7_258_118_400_000)
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    row_id = str(UUID((record.key or b"").decode()))
    for table in ("users", "user_profiles") if "user" in record.topic else ("videos",):
        blank = {facet: dict(columns) for facet, columns in _FACETS[table].items()}
        if "deletion" in blank:
            blank["deletion"] = {"deleted_at": time}
        said[table][row_id].append(_Said(ERASED + milliseconds, time, blank))


def _hear_event(event_type: str, time: datetime, data: Row, said: dict[str, dict[str, list[_Said]]]) -> None:
    aggregate, what = event_type.split(".")
    table = f"{aggregate}s"
    facets = _facets_of(aggregate, what, time, data)
    row_id = data[f"{aggregate}_id"]
    if what == "profile_updated":
        said["user_profiles"][row_id].append(_Said(data["version"], time, facets))
        facets = {}
    owner = data["user_id"] if aggregate == "video" else None
    said[table][row_id].append(_Said(data["version"], time, facets, owner))


def _facets_of(aggregate: str, what: str, time: datetime, data: Row) -> dict[str, Row]:  # noqa: C901, PLR0911, PLR0912
    def picked(columns: Iterable[str]) -> Row:
        return {column: data.get(column) for column in columns}

    def state(status: str, progress: int) -> dict[str, Row]:
        return {"state": {"status": status, "progress": progress, "error_code": None, "error_message": None}}

    if what in {"deleted", "restored"}:
        return {"deletion": {"deleted_at": time if what == "deleted" else None}}
    if aggregate == "video":
        match what:
            case "created":
                return {"details": picked(_DETAILS)} | state("pending", 0)
            case "updated":
                return {"details": picked(_DETAILS)}
            case "processing":
                return state("processing", 0) | {"start": {"started_at": time}}
            case "progressed":
                return state("processing", data["progress"])
            case "completed":
                return state("completed", 100) | {"output": picked(_OUTPUT) | {"completed_at": time}}
            case _:
                errors = picked(("error_code", "error_message"))
                return {"state": {"status": "failed", "progress": data.get("progress") or 0} | errors}
    match what:
        case "created":
            active = {"is_active": data.get("is_active", True)}
            preferences = {"preferences": data.get("preferences", {})}
            return {"account": picked(_ACCOUNT), "activation": active, "preferences": preferences}
        case "updated":
            return {"account": picked(_ACCOUNT)}
        case "preferences_changed":
            return {"preferences": {"preferences": data["preferences"]}}
        case "logged_in":
            return {"login": {"last_login_at": time}}
        case "profile_updated":
            return {"profile": picked(_PROFILE)}
        case _:
            return {"activation": {"is_active": what == "activated"}}


def _row(table: str, row_id: str, statements: list[_Said]) -> Row:
    ordered = sorted(statements, key=lambda said: (said.version, said.time))
    row: Row = {"user_id" if table == "user_profiles" else "id": UUID(row_id)}
    for facet, unset in _FACETS[table].items():
        setters = [said for said in ordered if facet in said.facets]
        row |= setters[-1].facets[facet] if setters else unset
        row[f"{facet}_version"] = setters[-1].version if setters else 0
    if table == "videos":
        row["user_id"] = UUID(ordered[-1].owner) if ordered[-1].owner else None
    if table != "user_profiles":
        row["version"] = ordered[-1].version
        row["is_deleted"] = row["deleted_at"] is not None
    return row | {"created_at": min(said.time for said in ordered), "updated_at": ordered[-1].time}


def _fact(data: Row, time: datetime) -> Row:
    plain = ("model_name", "model_type", "input_units", "output_units", "duration_seconds")
    cost = data.get("cost_usd")
    return {
        "id": UUID(data["usage_id"]),
        "video_id": UUID(data["video_id"]),
        "user_id": UUID(data["user_id"]),
        **{column: data.get(column) for column in plain},
        "cost_usd": Decimal(cost) if cost is not None else None,
        **dict.fromkeys(("used_at", "created_at", "updated_at"), time),
    }
