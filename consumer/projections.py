"""What each event type writes: which facets of which row, and the values. The table of contents of the merge.

Pure. A projection is looked up for every event, but its values are asked for only of the events that win the fold.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Literal, NamedTuple, assert_never, get_args

import orjson

from events import ErasureType, EventType, WireEvent
from events.wire import RowChangeType
from models import User, UserProfile, Video
from models.facets import Merge

RowType = Literal["users", "user_profiles", "videos"]

Values = Callable[[WireEvent], Iterable[tuple[str, Any]]]

MERGES: Mapping[RowType, Merge] = {
    "users": User.__merge__,
    "user_profiles": UserProfile.__merge__,
    "videos": Video.__merge__,
}


class Target(NamedTuple):
    """A row that an event writes, its key in `data[key]`, and the facets that it sets there."""

    table: RowType
    key: str
    facets: tuple[tuple[str, Values], ...]


class Projection(NamedTuple):
    """What one type of event writes. A fact has no targets, it is a row of its own; a changed row names its own."""

    targets: tuple[Target, ...]


def projection_of(event_type: EventType | ErasureType | RowChangeType) -> Projection:  # noqa: C901, PLR0911, PLR0912 - a table
    """What events of this type write."""
    match event_type:
        case "video.created":
            return _video(details=_copied("videos", "details"), state=_constant(status="pending", progress=0))
        case "video.updated":
            return _video(details=_copied("videos", "details"))
        case "video.processing":
            return _video(state=_constant(status="processing", progress=0), start=_time("started_at"))
        case "video.progressed":
            return _video(state=_progressed)
        case "video.completed":
            return _video(state=_constant(status="completed", progress=100), output=_completed)
        case "video.failed":
            return _video(state=_failed)
        case "video.deleted":
            return _video(deletion=_time("deleted_at"))
        case "video.restored":
            return _video(deletion=_constant())
        case "user.created":
            return _user(account=_copied("users", "account"), activation=_activation, preferences=_preferences)
        case "user.updated":
            return _user(account=_copied("users", "account"))
        case "user.preferences_changed":
            return _user(preferences=_preferences)
        case "user.activated":
            return _user(activation=_constant(is_active=True))
        case "user.deactivated":
            return _user(activation=_constant(is_active=False))
        case "user.logged_in":
            return _user(login=_time("last_login_at"))
        case "user.profile_updated":
            profile = Target("user_profiles", "user_id", (("profile", _copied("user_profiles", "profile")),))
            return Projection((Target("users", "user_id", ()), profile))
        case "user.deleted":
            return _user(deletion=_time("deleted_at"))
        case "user.restored":
            return _user(deletion=_constant())
        case "model_usage.recorded":
            return Projection(())
        case "video.row_deleted":
            return _video(deletion=_time("deleted_at"))
        case "user.row_deleted":
            return _user(deletion=_time("deleted_at"))
        case "user.row_changed" | "video.row_changed":
            return Projection(())  # what it sets depends on the row: see targets_of
        case "user.row_tombstone" | "video.row_tombstone":
            return Projection(())
        case "user.erased":
            return Projection((_erased("users", "user_id"), _erased("user_profiles", "user_id")))
        case "video.erased":
            return Projection((_erased("videos", "video_id"),))
        case _:
            assert_never(event_type)


def _video(**facets: Values) -> Projection:
    return Projection((Target("videos", "video_id", tuple(facets.items())),))


def _user(**facets: Values) -> Projection:
    return Projection((Target("users", "user_id", tuple(facets.items())),))


def _copied(table: RowType, facet: str) -> Values:
    """The facet's columns, from the fields of the same names."""
    columns = MERGES[table].facets[facet]
    fields = itemgetter(*columns)
    return lambda event: zip(columns, fields(event["data"]), strict=True)


def _constant(**values: Any) -> Values:  # noqa: ANN401 - column values
    """These values, and NULL for the facet's other columns."""
    pairs = tuple(values.items())
    return lambda _event: pairs


def _time(column: str) -> Values:
    return lambda event: ((column, event["time"]),)


def _progressed(event: WireEvent) -> Iterable[tuple[str, Any]]:
    return (("status", "processing"), ("progress", event["data"]["progress"]))


def _failed(event: WireEvent) -> Iterable[tuple[str, Any]]:
    data = event["data"]
    return (
        ("status", "failed"),
        ("progress", data["progress"] or 0),
        ("error_code", data["error_code"]),
        ("error_message", data["error_message"]),
    )


_OUTPUT = ("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size")
_output_fields = itemgetter(*_OUTPUT)


def _completed(event: WireEvent) -> Iterable[tuple[str, Any]]:
    return (*zip(_OUTPUT, _output_fields(event["data"]), strict=True), ("completed_at", event["time"]))


def _activation(event: WireEvent) -> Iterable[tuple[str, Any]]:
    return (("is_active", event["data"]["is_active"]),)


def _preferences(event: WireEvent) -> Iterable[tuple[str, Any]]:
    return _preferences_of(event["data"])


def _preferences_of(fields: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    # The standard encoder, because the fast one refuses integers beyond 64 bits, which jsonb keeps.
    return (("preferences", orjson.Fragment(json.dumps(fields["preferences"]))),)


def _erased(table: RowType, key: str) -> Target:
    """Every facet at its erased value: NULL, or the default where NULL is not allowed."""
    erased: dict[str, Values] = dict.fromkeys(MERGES[table].facets, _constant())
    if "deletion" in erased:
        erased["deletion"] = _time("deleted_at")
    if table == "users":
        erased |= {"activation": _constant(is_active=True), "preferences": _constant(preferences={})}
    return Target(table, key, tuple(erased.items()))


PROJECTIONS: Mapping[str, Projection] = {
    name: projection_of(name) for literal in (EventType, ErasureType, RowChangeType) for name in get_args(literal)
}


def targets_of(event: WireEvent) -> tuple[Target, ...]:
    """The rows that one event writes, also where only the event says which facets it sets."""
    if not event["type"].endswith(".row_changed"):
        return PROJECTIONS[event["type"]].targets
    facets: Iterable[str] = event["data"]["facets"]
    if event["type"] == "video.row_changed":
        return (_row_target("videos", "video_id", facets),)
    users = _row_target("users", "user_id", facets)
    profiles = _row_target("user_profiles", "user_id", facets)
    return (users, profiles) if profiles.facets else (users,)


def _row_target(table: RowType, key: str, carried: Iterable[str]) -> Target:
    return Target(table, key, tuple((facet, _OF_ROW[facet]) for facet in carried if facet in MERGES[table].facets))


def _carried(facet: str) -> Values:
    return lambda event: event["data"]["facets"][facet].items()


def _carried_preferences(event: WireEvent) -> Iterable[tuple[str, Any]]:
    return _preferences_of(event["data"]["facets"]["preferences"])


_OF_ROW: Mapping[str, Values] = {
    **{facet: _carried(facet) for merge in MERGES.values() for facet in merge.facets},
    "preferences": _carried_preferences,
}
