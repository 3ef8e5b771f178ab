"""What each type of event writes: rows, facets, values."""

import json
from datetime import timedelta
from typing import Any, get_args

import orjson
import pytest

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.projections import MERGES, PROJECTIONS
from reelsync.events import ErasureType, EventType
from reelsync.events.wire import RowChangeType
from tests.support.builders import START, an_id, record, usage, user, video
from tests.support.decoding import decode

DETAILS = {"title": "t", "description": "d", "avatar_id": "a", "voice_id": "v", "language": "pt", "resolution": "4k"}
AT = START + timedelta(seconds=1)
"""The time of events of version 1."""
NO_DETAILS = dict.fromkeys(DETAILS)
OUTPUT = {
    "output_url": "o",
    "thumbnail_url": "n",
    "duration_seconds": 1.5,
    "processing_time": 2.5,
    "file_size": 3,
}
ACCOUNT = {"username": "bob", "email": "bob@example.com", "avatar_url": "u"}
PROFILE = {"full_name": "f", "company": "c", "locale": "pt", "timezone": "Europe/Lisbon", "bio": "b"}


def event_of(value: bytes | None, **fields: Any) -> Any:
    event = decode(record(value, **fields), DEFAULT_TOPICS, 10**6)
    assert not isinstance(event, Rejection)
    return event


def plain(value: Any) -> Any:
    return json.loads(orjson.dumps(value)) if isinstance(value, orjson.Fragment) else value


def written(event: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """The values by table and facet."""
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for target in PROJECTIONS[event["type"]].targets:
        facets = tables[target.table] = {}
        for facet, fill in target.facets:
            filled: dict[str, Any] = {}
            fill(filled, event)
            facets[facet] = {name: plain(value) for name, value in filled.items()}
    return tables


VIDEOS = [
    ("created", DETAILS, {"details": DETAILS, "state": {"status": "pending", "progress": 0}}),
    (
        "created",
        {"title": "t"},
        {"details": NO_DETAILS | {"title": "t"}, "state": {"status": "pending", "progress": 0}},
    ),
    ("updated", DETAILS, {"details": DETAILS}),
    ("updated", {"title": "t"}, {"details": NO_DETAILS | {"title": "t"}}),
    ("processing", {}, {"state": {"status": "processing", "progress": 0}, "start": {"started_at": AT}}),
    ("progressed", {"progress": 70}, {"state": {"status": "processing", "progress": 70}}),
    (
        "completed",
        OUTPUT,
        {"state": {"status": "completed", "progress": 100}, "output": OUTPUT | {"completed_at": AT}},
    ),
    (
        "failed",
        {"error_code": "e", "error_message": "m", "progress": 7},
        {"state": {"status": "failed", "progress": 7, "error_code": "e", "error_message": "m", "failed_at": AT}},
    ),
    (
        "failed",
        {"error_code": "e"},
        {"state": {"status": "failed", "progress": 0, "error_code": "e", "error_message": None, "failed_at": AT}},
    ),
    ("deleted", {}, {"deletion": {"deleted_at": AT}}),
    ("restored", {}, {"deletion": {}}),
]
USERS = [
    (
        "created",
        ACCOUNT,
        {"account": ACCOUNT, "activation": {"is_active": True}, "preferences": {"preferences": {}}},
    ),
    (
        "created",
        {"username": "bob", "email": "e", "is_active": False, "preferences": {"é": 2**80}},
        {
            "account": {"username": "bob", "email": "e", "avatar_url": None},
            "activation": {"is_active": False},
            "preferences": {"preferences": {"é": 2**80}},
        },
    ),
    ("updated", ACCOUNT, {"account": ACCOUNT}),
    ("preferences_changed", {"preferences": {"a": [1]}}, {"preferences": {"preferences": {"a": [1]}}}),
    ("activated", {}, {"activation": {"is_active": True}}),
    ("deactivated", {}, {"activation": {"is_active": False}}),
    ("logged_in", {}, {"login": {"last_login_at": AT}}),
    ("deleted", {}, {"deletion": {"deleted_at": AT}}),
    ("restored", {}, {"deletion": {}}),
]


@pytest.mark.parametrize(("kind", "data", "facets"), VIDEOS)
def test_an_event_of_a_video_sets_its_facets_whole(kind: str, data: dict[str, Any], facets: dict[str, Any]) -> None:
    assert written(event_of(video(kind, **data))) == {"videos": facets}


@pytest.mark.parametrize(("kind", "data", "facets"), USERS)
def test_an_event_of_a_user_sets_its_facets_whole(kind: str, data: dict[str, Any], facets: dict[str, Any]) -> None:
    assert written(event_of(user(kind, **data))) == {"users": facets}


def test_a_profile_is_a_row_of_its_own_and_touches_its_user() -> None:
    assert written(event_of(user("profile_updated", **PROFILE))) == {"users": {}, "user_profiles": {"profile": PROFILE}}


def test_a_fact_merges_into_no_row() -> None:
    assert written(event_of(usage())) == {}


def test_an_erased_video_has_every_facet_at_its_erased_value() -> None:
    event = event_of(None, key=an_id(1).encode(), timestamp=0)
    facets: dict[str, Any] = {facet: {} for facet in MERGES["videos"].facets}
    assert written(event) == {"videos": facets | {"deletion": {"deleted_at": event["time"]}}}


def test_an_erased_user_has_every_facet_of_both_rows_at_its_erased_value() -> None:
    event = event_of(None, key=an_id(1001).encode(), timestamp=0, topic="user-events")
    erased: dict[str, Any] = {
        "account": {},
        "activation": {"is_active": True},
        "preferences": {"preferences": {}},
        "login": {},
        "deletion": {"deleted_at": event["time"]},
    }
    assert written(event) == {"users": erased, "user_profiles": {"profile": {}}}


def test_every_type_has_a_projection_and_the_tables_above_have_every_type() -> None:
    types = {*get_args(EventType), *get_args(ErasureType), *get_args(RowChangeType)}
    assert set(PROJECTIONS) == types
    named = {f"video.{kind}" for kind, *_ in VIDEOS} | {f"user.{kind}" for kind, *_ in USERS}
    elsewhere = {
        "user.profile_updated",
        "model_usage.recorded",
        "user.erased",
        "user.tombstone",
        "video.tombstone",
        "video.owner_erased",
    }
    assert types - named == elsewhere | {*get_args(RowChangeType)}


@pytest.mark.parametrize("event_type", sorted(PROJECTIONS))
def test_projections_name_facets_and_keys_that_exist(event_type: str) -> None:
    for target in PROJECTIONS[event_type].targets:
        assert {facet for facet, _ in target.facets} <= set(MERGES[target.table].facets)
        assert target.key == ("video_id" if target.table == "videos" else "user_id")


@pytest.mark.parametrize(("kind", "data", "facets"), VIDEOS)
def test_values_are_for_columns_of_their_facet(kind: str, data: dict[str, Any], facets: dict[str, Any]) -> None:
    for facet, values in written(event_of(video(kind, **data)))["videos"].items():
        assert set(values) <= set(MERGES["videos"].facets[facet])
    assert set(facets) <= set(MERGES["videos"].facets)
