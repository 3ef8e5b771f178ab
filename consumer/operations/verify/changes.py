"""What one event changes, for the rows of `reference`. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

ERASED = 2**62
Row = dict[str, Any]

_DETAILS = ("title", "description", "avatar_id", "voice_id", "language", "resolution")
_ACCOUNT = ("username", "email", "avatar_url")
_PROFILE = ("full_name", "company", "locale", "timezone", "bio")
_OUTPUT = ("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size")
FACETS: Mapping[str, Mapping[str, Row]] = {
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
        "state": dict.fromkeys(("status", "progress", "error_code", "error_message", "failed_at")),
        "start": {"started_at": None},
        "output": dict.fromkeys((*_OUTPUT, "completed_at")),
        "deletion": {"deleted_at": None},
    },
}
"""For each table and facet, the columns, with their values while no event has set them."""


class Change(NamedTuple):
    """What one event changes in one row: its version and time, and the columns of each facet that it sets."""

    version: int
    time: datetime
    facets: Mapping[str, Row]
    owner: str | None = None
    row_created_at: datetime | None = None
    """Of a row change: when the row was created in its own database, perhaps before `time`."""
    gives_state: bool = False
    """Whether the history of the video has it: it sets the state, and is no progress."""


def blank(table: str, time: datetime) -> dict[str, Row]:
    """The facets of an erased row."""
    facets = {facet: dict(columns) for facet, columns in FACETS[table].items()}
    if "deletion" in facets:
        facets["deletion"] = {"deleted_at": time}
    return facets


def facets_of(aggregate: str, what: str, time: datetime, data: Row) -> dict[str, Row]:
    """The facets that an event sets."""
    if what in {"deleted", "restored"}:
        return {"deletion": {"deleted_at": time if what == "deleted" else None}}
    return _facets_of_video(what, time, data) if aggregate == "video" else _facets_of_user(what, time, data)


def _facets_of_video(what: str, time: datetime, data: Row) -> dict[str, Row]:
    match what:
        case "created":
            return {"details": _picked(data, _DETAILS)} | _state("pending", 0)
        case "updated":
            return {"details": _picked(data, _DETAILS)}
        case "processing":
            return _state("processing", 0) | {"start": {"started_at": time}}
        case "progressed":
            return _state("processing", data["progress"])
        case "completed":
            return _state("completed", 100) | {"output": _picked(data, _OUTPUT) | {"completed_at": time}}
        case _:
            failure = _picked(data, ("error_code", "error_message")) | {"failed_at": time}
            return {"state": {"status": "failed", "progress": data.get("progress") or 0} | failure}


@cache
def _state(status: str, progress: int) -> dict[str, Row]:
    """The facet of a state that is no failure. All changes that set it share it, which saves memory."""
    no_failure = dict.fromkeys(("error_code", "error_message", "failed_at"))
    return {"state": {"status": status, "progress": progress, **no_failure}}


def _facets_of_user(what: str, time: datetime, data: Row) -> dict[str, Row]:
    match what:
        case "created":
            active = {"is_active": data.get("is_active", True)}
            preferences = {"preferences": data.get("preferences", {})}
            return {"account": _picked(data, _ACCOUNT), "activation": active, "preferences": preferences}
        case "updated":
            return {"account": _picked(data, _ACCOUNT)}
        case "preferences_changed":
            return {"preferences": {"preferences": data["preferences"]}}
        case "logged_in":
            return {"login": {"last_login_at": time}}
        case "profile_updated":
            return {"profile": _picked(data, _PROFILE)}
        case _:
            return {"activation": {"is_active": what == "activated"}}


def _picked(data: Row, columns: Iterable[str]) -> Row:
    return {column: data.get(column) for column in columns}


def fact_of(data: Row, time: datetime) -> Row:
    """The row of a fact."""
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
