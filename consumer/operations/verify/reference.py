"""The rows that a set of events must come to, calculated in the simplest way: no order, no batches, no merge.

Pure. All events of an aggregate are collected and sorted by version; each facet comes from the highest version that
sets it. This module shares no code with the fold, the projections, the upsert, the models and the contract, so that an
error there cannot hide itself here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

ERASED = 2**62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_PEOPLE = ("users", "user_profiles")
Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]

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
        "state": dict.fromkeys(("status", "progress", "error_code", "error_message")),
        "start": {"started_at": None},
        "output": dict.fromkeys((*_OUTPUT, "completed_at")),
        "deletion": {"deleted_at": None},
    },
}
"""For each table and facet, the columns, with their values while no event has set them."""
TABLES = (*FACETS, "model_usage")


class Change(NamedTuple):
    """What one event changes in one row: its version and time, and the columns of each facet that it sets."""

    version: int
    time: datetime
    facets: Mapping[str, Row]
    owner: str | None = None
    row_created_at: datetime | None = None
    """Of a row change: when the row was created in its own database, perhaps before `time`."""


class Oracle:
    """Takes events, and calculates the rows that they must come to.

    Args:
        wanted: Which rows to remember, by their id in lower-case hex with dashes; all by default.
    """

    def __init__(self, wanted: Callable[[str], bool] = lambda _row_id: True) -> None:
        self._wanted = wanted
        self.changes: dict[str, dict[str, list[Change]]] = {table: defaultdict(list) for table in FACETS}
        """By table and id, in the order in which their events were added."""
        self.facts: dict[str, list[Row]] = defaultdict(list)
        """All facts, by id. The first one stands. Facts of one id that differ break the publisher's contract."""
        self.erased: set[str] = set()
        """Users whom events here erase as people, with all of their videos."""
        self.digests: Collection[UUID] = ()
        """Of people whom the database remembers as erased, whatever erased them."""
        self._referenced: dict[str, set[str]] = {"users": set(), "videos": set()}

    def add(self, event_type: str, time: datetime, data: Row) -> None:
        """Add one event. Ids in `data` are lower-case hex with dashes."""
        aggregate, what = event_type.split(".")
        if aggregate == "model_usage":
            if self._wanted(data["usage_id"]):
                self.facts[data["usage_id"]].append(_fact(data, time))
            self._refer("videos", data["video_id"])
            self._refer("users", data["user_id"])
            return
        if what == "row_tombstone":
            return
        if event_type == "user.erased":
            self.erased.add(data["user_id"])
            return
        row_id, version = data[f"{aggregate}_id"], data["version"]
        if what == "tombstone":
            for table in ("users", "user_profiles") if aggregate == "user" else ("videos",):
                self._change(table, row_id, Change(version, time, _blank(table, time)))
            return
        if what.startswith("row_"):
            self._add_row_change(aggregate, what, time, data)
            return
        facets = _facets_of(aggregate, what, time, data)
        if aggregate == "video":
            self._change("videos", row_id, Change(version, time, facets, data["user_id"]))
            self._refer("users", data["user_id"])
        elif what == "profile_updated":
            self._change("user_profiles", row_id, Change(version, time, facets))
            self._change("users", row_id, Change(version, time, {}))
        else:
            self._change("users", row_id, Change(version, time, facets))

    def _add_row_change(self, aggregate: str, what: str, time: datetime, data: Row) -> None:
        """Add a change of a row of another database, which names the facets that it sets."""
        table, row_id, version = f"{aggregate}s", data[f"{aggregate}_id"], data["version"]
        facets = {"deletion": {"deleted_at": time}} if what == "row_deleted" else data["facets"]
        owner = data.get("user_id") if aggregate == "video" else None
        own = {facet: columns for facet, columns in facets.items() if facet in FACETS[table]}
        self._change(table, row_id, Change(version, time, own, owner, data.get("created_at")))
        if owner:
            self._refer("users", owner)
        if aggregate == "user" and "profile" in facets:
            self._change("user_profiles", row_id, Change(version, time, {"profile": facets["profile"]}))

    def ids(self, table: str) -> set[str]:
        """The ids of the rows that must be there."""
        added = self.facts if table == "model_usage" else self.changes[table]
        ids = added.keys() | self._referenced.get(table, set())
        return {one for one in ids if not self._is_erased(one)} if table in _OF_PEOPLE else ids

    def row(self, table: str, row_id: str) -> Row | None:
        """The expected row; `{"version": 0}` for a placeholder; None if there must be no row."""
        if table == "model_usage":
            return self.anonymous(self.facts[row_id][0]) if row_id in self.facts else None
        if table in _OF_PEOPLE and self._is_erased(row_id):
            return None
        if row_id in self.changes[table]:
            changes = self.changes[table][row_id]
            row = row_of(table, row_id, changes)
            if not any(change.owner and self._is_erased(change.owner) for change in changes):
                return row
            erasure = Change(ERASED, _EPOCH, _blank("videos", _EPOCH))
            return row_of(table, row_id, [*changes, erasure]) | {"created_at": row["created_at"]}
        return {"version": 0} if row_id in self._referenced.get(table, ()) else None

    def anonymous(self, fact: Row) -> Row:
        """The fact, without the id of a user who is erased."""
        return fact | {"user_id": UUID(int=0)} if self._is_erased(str(fact["user_id"])) else fact

    def _is_erased(self, user_id: str) -> bool:
        if user_id in self.erased or not self.digests:
            return user_id in self.erased
        digest = sha256(f"reelsync erased user {user_id}".encode()).hexdigest()[:32]
        return UUID(digest) in self.digests

    def tables(self) -> Tables:
        """All rows, by table and id."""
        return {table: {row_id: self.row(table, row_id) or {} for row_id in self.ids(table)} for table in TABLES}

    def _change(self, table: str, row_id: str, change: Change) -> None:
        if self._wanted(row_id):
            self.changes[table][row_id].append(change)

    def _refer(self, table: str, row_id: str) -> None:
        if self._wanted(row_id):
            self._referenced[table].add(row_id)


def row_of(table: str, row_id: str, changes: Iterable[Change]) -> Row:
    """The row that these changes come to. There is at least one."""
    ordered = sorted(changes, key=lambda change: (change.version, change.time))
    row: Row = {"user_id" if table == "user_profiles" else "id": UUID(row_id)}
    for facet, unset in FACETS[table].items():
        setters = [change for change in ordered if facet in change.facets]
        row |= setters[-1].facets[facet] if setters else unset
        row[f"{facet}_version"] = setters[-1].version if setters else 0
    if table == "videos":
        owner = ordered[-1].owner
        others = {UUID(change.owner) for change in ordered if change.owner and change.owner != owner}
        row["user_id"] = UUID(owner) if owner else None
        row["former_owners"] = sorted(others) if others and ordered[-1].version < ERASED else None
    if table != "user_profiles":
        row["version"] = ordered[-1].version
        row["is_deleted"] = row["deleted_at"] is not None
    created_at = min(time for change in ordered for time in (change.time, change.row_created_at) if time is not None)
    return row | {"created_at": created_at, "updated_at": ordered[-1].time}


def _blank(table: str, time: datetime) -> dict[str, Row]:
    blank = {facet: dict(columns) for facet, columns in FACETS[table].items()}
    if "deletion" in blank:
        blank["deletion"] = {"deleted_at": time}
    return blank


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
