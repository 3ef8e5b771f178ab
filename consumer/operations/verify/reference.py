"""The rows that a set of events must come to, calculated in the simplest way: no order, no batches, no merge.

Pure. All events of an aggregate are collected and sorted by version; each facet comes from the highest version that
sets it. This module and `changes` share no code with the fold, the projections, the upsert, the models and the
contract, so that an error there cannot hide itself here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from .changes import ERASED, FACETS, Change, Row, blank, facets_of, fact_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF_PEOPLE = ("users", "user_profiles")
Tables = dict[str, dict[str, Row]]

TABLES = (*FACETS, "model_usage")
STATES = "video_states"
"""Compared where it is kept. A row's id is that of the video, a slash and the version."""


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
                self.facts[data["usage_id"]].append(fact_of(data, time))
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
                self._change(table, row_id, Change(version, time, blank(table, time)))
            return
        if what.startswith("row_"):
            self._add_row_change(aggregate, what, time, data)
            return
        facets = facets_of(aggregate, what, time, data)
        if aggregate == "video":
            gives_state = "state" in facets and what != "progressed"
            self._change("videos", row_id, Change(version, time, facets, data["user_id"], None, gives_state))
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
        self._change(table, row_id, Change(version, time, own, owner, data.get("created_at"), "state" in own))
        if owner:
            self._refer("users", owner)
        if aggregate == "user" and "profile" in facets:
            self._change("user_profiles", row_id, Change(version, time, {"profile": facets["profile"]}))

    def refer(self, table: str, row_ids: Iterable[str]) -> None:
        """Expect these rows, which events elsewhere refer to."""
        self._referenced[table].update(row_ids)

    def ids(self, table: str) -> set[str]:
        """The ids of the rows that must be there."""
        if table == STATES:
            return {f"{of}/{state['version']}" for of in self.changes["videos"] for state in self.states(of)}
        added = self.facts if table == "model_usage" else self.changes[table]
        ids = added.keys() | self._referenced.get(table, set())
        return {one for one in ids if not self._is_erased(one)} if table in _OF_PEOPLE else ids

    def row(self, table: str, row_id: str) -> Row | None:
        """The expected row; `{"version": 0}` for a placeholder; None if there must be no row."""
        if table == STATES:
            return next(iter(self.states(*row_id.split("/"))), None)
        if table == "model_usage":
            return self.anonymous(self.facts[row_id][0]) if row_id in self.facts else None
        if table in _OF_PEOPLE and self._is_erased(row_id):
            return None
        if row_id in self.changes[table]:
            changes = self.changes[table][row_id]
            row = row_of(table, row_id, changes)
            if not self._had_erased_owner(changes):
                return row
            erasure = Change(ERASED, _EPOCH, blank("videos", _EPOCH))
            return row_of(table, row_id, [*changes, erasure]) | {"created_at": row["created_at"]}
        return {"version": 0} if row_id in self._referenced.get(table, ()) else None

    def states(self, video_id: str, version: str = "") -> list[Row]:
        """The states that the video must have, or the one of a version; none once the video is erased.

        Of a version the earliest stands. There are several if events that differ share version and time.
        """
        changes = self.changes["videos"].get(video_id, ())
        if any(change.version >= ERASED for change in changes) or self._had_erased_owner(changes):
            return []
        given = [change for change in changes if change.gives_state and version in {"", str(change.version)}]
        earliest: dict[int, datetime] = {}
        for change in given:
            earliest[change.version] = min(change.time, earliest.get(change.version, change.time))
        return [_state(video_id, change) for change in given if change.time == earliest[change.version]]

    def _had_erased_owner(self, changes: Iterable[Change]) -> bool:
        return any(self._is_erased(owner) for owner in {change.owner for change in changes} if owner)

    def anonymous(self, fact: Row) -> Row:
        """The fact, without the id of a user who is erased."""
        return fact | {"user_id": UUID(int=0)} if self._is_erased(str(fact["user_id"])) else fact

    def _is_erased(self, user_id: str) -> bool:
        if user_id in self.erased or not self.digests:
            return user_id in self.erased
        digest = sha256(f"reelsync erased user {user_id}".encode()).hexdigest()[:32]
        return UUID(digest) in self.digests

    def tables(self, *more: str) -> Tables:
        """All rows, by table and id; also those of `more` tables."""
        tables = (*TABLES, *more)
        return {table: {row_id: self.row(table, row_id) or {} for row_id in self.ids(table)} for table in tables}

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
    setters = {facet: change for change in ordered for facet in change.facets}  # the last one that sets it
    for facet, unset in FACETS[table].items():
        setter = setters.get(facet)
        row |= setter.facets[facet] if setter else unset
        row[f"{facet}_version"] = setter.version if setter else 0
    if table == "videos":
        owner = ordered[-1].owner
        others = {UUID(change.owner) for change in ordered if change.owner and change.owner != owner}
        row["user_id"] = UUID(owner) if owner else None
        row["former_owners"] = sorted(others) if others and ordered[-1].version < ERASED else None
    if table != "user_profiles":
        row["version"] = ordered[-1].version
        row["is_deleted"] = row["deleted_at"] is not None
    created = [change.time for change in ordered] + [at for change in ordered if (at := change.row_created_at)]
    return row | {"created_at": min(created), "updated_at": ordered[-1].time}


def _state(video_id: str, change: Change) -> Row:
    state = change.facets["state"]
    row: Row = {"video_id": UUID(video_id), "version": change.version, "at": change.time}
    return row | {"status": state["status"], "error_code": state["error_code"]}
