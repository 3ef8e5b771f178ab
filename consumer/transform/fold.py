"""The merge in memory: many events become at most one row for each key, by the rule of the upsert. Pure.

A row remembers which event won each facet and copies no values. The plan takes the values of the winners at the end.
"""

from collections.abc import Iterable
from typing import Any

from reelsync.events import WireEvent

from .erased_people import ANONYMOUS_USER
from .projections import GIVING_STATES, PROJECTIONS, Fill, RowType, State, Target, state_of, targets_of


class Row:
    """The merged events of one row.

    `facets`: for each facet that was set, its version, its event, and what fills it in.
    """

    __slots__ = ("created_at", "facets", "former_owners", "latest", "updated_at", "version")

    def __init__(self, event: WireEvent, version: int) -> None:
        self.version = version
        self.latest = event
        self.created_at = self.updated_at = event["time"]
        self.facets: dict[str, tuple[int, WireEvent, Fill]] = {}
        self.former_owners: set[str] | None = None
        """Of a video: whom else its events named as owner. None if nobody."""

    def merge(self, event: WireEvent, version: int, facets: tuple[tuple[str, Fill], ...]) -> bool:
        """Merge one more event, which sets these facets. Whether it conflicts with another of the same version."""
        time = event["time"]
        conflict = False
        if event["data"].get("user_id") != self.latest["data"].get("user_id"):
            self._note_owner(event if version <= self.version else self.latest)
        if version > self.version:
            self.version = version
            self.latest = event
            self.updated_at = time
        elif version == self.version:
            conflict = not _is_resend(event, self.latest)
            self.updated_at = max(self.updated_at, time)
        self.created_at = min(self.created_at, time)
        won = self.facets
        for facet, fill in facets:
            held = won.get(facet)
            if held is None or version > held[0]:
                won[facet] = (version, event, fill)
            elif version == held[0]:
                conflict = conflict or not _is_resend(event, held[1])
        return conflict

    def _note_owner(self, event: WireEvent) -> None:
        owner = event["data"].get("user_id")
        if owner is not None:
            self.former_owners = {*(self.former_owners or ()), owner}


class Fold:
    """The rows and facts of some events, and the ids that any of them refers to.

    References are taken from every event, not only from the winners: which rows exist must not depend on the cut of the
    log into batches.
    """

    __slots__ = (
        "conflicts",
        "created_at",
        "erased_people",
        "facts",
        "rows",
        "states",
        "user_references",
        "video_references",
    )

    def __init__(self, events: Iterable[WireEvent] = ()) -> None:
        self.rows: dict[RowType, dict[str, Row]] = {"users": {}, "user_profiles": {}, "videos": {}}
        self.facts: dict[str, WireEvent] = {}
        """Model usage by id. The first fact stands."""
        self.states: dict[tuple[str, int], State] = {}
        """States by video and version. `FoldWithStates` fills it."""
        self.user_references: dict[str, Any] = {}
        """User id → time of the first event here that refers to it."""
        self.video_references: dict[str, tuple[str | None, Any]] = {}
        """Video id → its owner by the first fact here that refers to it, and that fact's time."""
        self.erased_people: set[str] = set()
        """Ids of users who are erased with all of their videos."""
        self.created_at: dict[RowType, dict[str, Any]] = {"users": {}, "user_profiles": {}, "videos": {}}
        """Row id → when the row was created in its own database, perhaps before any event's time."""
        self.conflicts = 0
        """Events that share aggregate and version with another, different event: their publisher broke the contract."""
        for event in events:
            self.add(event)

    @property
    def earliest(self) -> Any:
        """The earliest time of all events; None if there are none."""
        times = [row.created_at for rows in self.rows.values() for row in rows.values()]
        return min((*times, *(fact["time"] for fact in self.facts.values())), default=None)

    @property
    def row_count(self) -> int:
        """Rows and facts."""
        return sum(map(len, self.rows.values())) + len(self.facts)

    def add(self, event: WireEvent) -> None:
        """Merge one event."""
        data = event["data"]
        targets = PROJECTIONS[event["type"]].targets
        if not targets:
            if event["type"] == "model_usage.recorded":
                self._add_fact(event, data)
                return
            if event["type"] == "user.erased":
                self.erased_people.add(data["user_id"])
                return
            targets = targets_of(event)
            if not targets:
                return
            self._begin_row(targets[0], event)
        version = data["version"]
        conflict = False
        for table, key_field, facets in targets:
            rows, key = self.rows[table], data[key_field]
            row = rows.get(key)
            if row is None:
                row = rows[key] = Row(event, version)
                row.facets = {facet: (version, event, fill) for facet, fill in facets}
            elif row.merge(event, version, facets):
                conflict = True
        self.conflicts += conflict
        if table == "videos" and "user_id" in data:
            self.user_references.setdefault(data["user_id"], event["time"])

    def _begin_row(self, target: Target, event: WireEvent) -> None:
        """Note when a changed row was created in its own database, if the event says so."""
        created_at = event["data"]["created_at"]
        if created_at is not None:
            times = self.created_at[target.table]
            key = event["data"][target.key]
            held = times.get(key)
            if held is None or created_at < held:
                times[key] = created_at

    def _add_fact(self, event: WireEvent, data: dict[str, Any]) -> None:
        self.facts.setdefault(data["usage_id"], event)
        owner = None if data["user_id"] == ANONYMOUS_USER else data["user_id"]
        self.video_references.setdefault(data["video_id"], (owner, event["time"]))
        if owner is not None:
            self.user_references.setdefault(owner, event["time"])


class FoldWithStates(Fold):
    """Keeps each state that an event gave to a video, too. The earliest of a version stands."""

    __slots__ = ()

    def add(self, event: WireEvent) -> None:
        """Merge one event, and keep its state."""
        super().add(event)
        if event["type"] in GIVING_STATES and (state := state_of(event)):
            key = (event["data"]["video_id"], event["data"]["version"])
            held = self.states.get(key)
            if held is None or state[0] < held[0]:
                self.states[key] = state


def fold_type(*, video_states: bool) -> type[Fold]:
    """The fold for this setting: without states, no event is looked at for one."""
    return FoldWithStates if video_states else Fold


def _is_resend(event: WireEvent, other: WireEvent) -> bool:
    """Whether both are one event, or two snapshots' readings of one state of a row.

    Source: CloudEvents 1.0, "id": source and id together are unique.
    """
    if event["id"] == other["id"] and event["source"] == other["source"]:
        return True
    return event["type"] == other["type"] and event["type"].endswith(".row_changed") and event["data"] == other["data"]
