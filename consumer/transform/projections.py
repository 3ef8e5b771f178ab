"""Which facets of which row each event type writes, and the values. Pure.

The projection of every event is looked up, but values are taken only from events that win the fold.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from reelsync.events import ErasureType, EventType, WireEvent
from reelsync.events.wire import RowChangeType
from reelsync.models import User, UserProfile, Video
from reelsync.models.facets import Merge

from .erased_people import ERASED_TIME

RowType = Literal["users", "user_profiles", "videos"]

Columns = dict[str, Any]
"""Values of a row, by column."""
Fill = Callable[[Columns, WireEvent], None]
"""Sets the columns of one facet from an event. Columns of the facet that are left out become NULL."""

MERGES: Mapping[RowType, Merge] = {
    "users": User.__merge__,
    "user_profiles": UserProfile.__merge__,
    "videos": Video.__merge__,
}


class Target(NamedTuple):
    """A row that an event writes, its key in `data[key]`, and the facets that it sets there."""

    table: RowType
    key: str
    facets: tuple[tuple[str, Fill], ...]


class Projection(NamedTuple):
    """What one type of event writes. A fact has no targets, because it is a row itself. A row change names its own."""

    targets: tuple[Target, ...]


def _video(**facets: Fill) -> Projection:
    return Projection((Target("videos", "video_id", tuple(facets.items())),))


def _user(**facets: Fill) -> Projection:
    return Projection((Target("users", "user_id", tuple(facets.items())),))


def _copied(*columns: str) -> Fill:
    """Copies the fields of the same names."""

    def fill(row: Columns, event: WireEvent) -> None:
        data = event["data"]
        for column in columns:
            row[column] = data[column]

    return fill


_details = _copied(*MERGES["videos"].facets["details"])
_output = _copied("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size")
_account = _copied(*MERGES["users"].facets["account"])
_profile = _copied(*MERGES["user_profiles"].facets["profile"])


def _constant(**values: Any) -> Fill:
    return lambda row, _event: row.update(values)


def _time(column: str) -> Fill:
    def fill(row: Columns, event: WireEvent) -> None:
        row[column] = event["time"]

    return fill


def _both(one: Fill, other: Fill) -> Fill:
    def fill(row: Columns, event: WireEvent) -> None:
        one(row, event)
        other(row, event)

    return fill


def _failed(row: Columns, event: WireEvent) -> None:
    data = event["data"]
    row["status"] = "failed"
    row["progress"] = data["progress"] or 0
    row["error_code"] = data["error_code"]
    row["error_message"] = data["error_message"]
    row["failed_at"] = event["time"]


def _preferences(row: Columns, event: WireEvent) -> None:
    row["preferences"] = _encoded(event["data"]["preferences"])


def _encoded(preferences: Mapping[str, Any]) -> orjson.Fragment:
    # The standard encoder, because the fast one refuses integers beyond 64 bits, which jsonb keeps.
    return orjson.Fragment(json.dumps(preferences))


def _erased(table: RowType, key: str, deletion: Fill | None = None) -> Target:
    """Every facet at its erased value: NULL, or the default where NULL is not allowed."""
    erased: dict[str, Fill] = dict.fromkeys(MERGES[table].facets, _constant())
    if "deletion" in erased:
        erased["deletion"] = deletion or _time("deleted_at")
    if table == "users":
        erased |= {"activation": _constant(is_active=True), "preferences": _constant(preferences={})}
    return Target(table, key, tuple(erased.items()))


# The keys are literals, so that mypy refuses a type that does not exist. A test checks that none is missing.
_BY_TYPE: Mapping[EventType | ErasureType | RowChangeType, Projection] = {
    "video.created": _video(details=_details, state=_constant(status="pending", progress=0)),
    "video.updated": _video(details=_details),
    "video.processing": _video(state=_constant(status="processing", progress=0), start=_time("started_at")),
    "video.progressed": _video(state=_both(_constant(status="processing"), _copied("progress"))),
    "video.completed": _video(
        state=_constant(status="completed", progress=100), output=_both(_output, _time("completed_at"))
    ),
    "video.failed": _video(state=_failed),
    "video.deleted": _video(deletion=_time("deleted_at")),
    "video.restored": _video(deletion=_constant()),
    "user.created": _user(account=_account, activation=_copied("is_active"), preferences=_preferences),
    "user.updated": _user(account=_account),
    "user.preferences_changed": _user(preferences=_preferences),
    "user.activated": _user(activation=_constant(is_active=True)),
    "user.deactivated": _user(activation=_constant(is_active=False)),
    "user.logged_in": _user(login=_time("last_login_at")),
    "user.profile_updated": Projection(
        (Target("users", "user_id", ()), Target("user_profiles", "user_id", (("profile", _profile),)))
    ),
    "user.deleted": _user(deletion=_time("deleted_at")),
    "user.restored": _user(deletion=_constant()),
    "model_usage.recorded": Projection(()),
    "user.tombstone": Projection((_erased("users", "user_id"), _erased("user_profiles", "user_id"))),
    "video.tombstone": Projection((_erased("videos", "video_id"),)),
    # Leaves no row of the user: see erased_people.
    "user.erased": Projection(()),
    "video.owner_erased": Projection((_erased("videos", "video_id", _constant(deleted_at=ERASED_TIME)),)),
    "user.row_deleted": _user(deletion=_time("deleted_at")),
    "video.row_deleted": _video(deletion=_time("deleted_at")),
    # What these set depends on the row: see targets_of.
    "user.row_changed": Projection(()),
    "video.row_changed": Projection(()),
    "user.row_tombstone": Projection(()),
    "video.row_tombstone": Projection(()),
}
PROJECTIONS: Mapping[str, Projection] = dict(_BY_TYPE.items())
"""What events of each type write."""


GIVING_STATES: Mapping[str, Fill] = {
    **{
        name: dict(PROJECTIONS[name].targets[0].facets)["state"]
        for name in ("video.created", "video.processing", "video.completed", "video.failed")
    },
    "video.row_changed": lambda row, event: row.update(event["data"]["facets"].get("state", {})),
}
"""The events that give a video a state: those that set it, but for progress, which goes on with one, and erasures."""


State = tuple[Any, str, str | None]
"""A state that an event gave to a video: its time, the status and the error code."""


def state_of(event: WireEvent) -> State | None:
    """The state that the event gives to its video, whether it wins or not; None if a row change has no status."""
    row: Columns = {}
    GIVING_STATES[event["type"]](row, event)
    return (event["time"], row["status"], row.get("error_code")) if row else None


def targets_of(event: WireEvent) -> tuple[Target, ...]:
    """The rows that one event writes, also where only the event says which facets it sets."""
    if event["type"] in {"user.row_changed", "video.row_changed"}:
        return _row_targets(event["type"], tuple(event["data"]["facets"]))
    return PROJECTIONS[event["type"]].targets


@lru_cache(maxsize=256)
def _row_targets(event_type: str, facets: tuple[str, ...]) -> tuple[Target, ...]:
    if event_type == "video.row_changed":
        return (_row_target("videos", "video_id", facets),)
    users = _row_target("users", "user_id", facets)
    profiles = _row_target("user_profiles", "user_id", facets)
    return (users, profiles) if profiles.facets else (users,)


def _row_target(table: RowType, key: str, carried: Iterable[str]) -> Target:
    return Target(table, key, tuple((facet, _OF_ROW[facet]) for facet in carried if facet in MERGES[table].facets))


def _carried(facet: str) -> Fill:
    return lambda row, event: row.update(event["data"]["facets"][facet])


def _carried_preferences(row: Columns, event: WireEvent) -> None:
    row["preferences"] = _encoded(event["data"]["facets"]["preferences"]["preferences"])


_OF_ROW: Mapping[str, Fill] = {
    **{facet: _carried(facet) for merge in MERGES.values() for facet in merge.facets},
    "preferences": _carried_preferences,
}
