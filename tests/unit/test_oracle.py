"""The oracle, against rows worked out by hand."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from reelsync.consumer.operations.verify.changes import ERASED
from reelsync.testing.expected_tables import expected_tables
from tests.support.sent_records import (
    ACCOUNT,
    NOON,
    NOON_MS,
    OTHER_USER,
    OUTPUT,
    USAGE,
    USER,
    VIDEO,
    Sent,
    at,
    erasure,
    part,
    state,
    the_user,
    the_video,
    usage,
    user,
    video,
)


def test_a_created_video_is_a_whole_row() -> None:
    details: dict[str, Any] = {"title": "A", "voice_id": "v", "language": "en"}
    assert the_video(video("created", 3, **details, from_the_future=1)) == {
        "id": UUID(VIDEO),
        "user_id": UUID(USER),
        "former_owners": None,
        **details,
        **dict.fromkeys(("description", "avatar_id", "resolution")),
        "status": "pending",
        "progress": 0,
        "error_code": None,
        "error_message": None,
        "failed_at": None,
        **dict.fromkeys((*OUTPUT, "thumbnail_url", "started_at", "completed_at", "deleted_at")),
        "is_deleted": False,
        "details_version": 3,
        "state_version": 3,
        "start_version": 0,
        "output_version": 0,
        "deletion_version": 0,
        "version": 3,
        "created_at": at(3),
        "updated_at": at(3),
    }


def test_a_facet_is_set_whole() -> None:
    row = the_video(video("created", 1, title="A", language="en"), video("updated", 2, title="B"))
    assert part(row, "title", "language", "details_version", "state_version") == ("B", None, 2, 1)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (video("processing", 5), ("processing", 0, None, None, None, 5)),
        (video("progressed", 5, progress=41), ("processing", 41, None, None, None, 5)),
        (video("completed", 5, **OUTPUT), ("completed", 100, None, None, None, 5)),
        (video("failed", 5, error_code="e"), ("failed", 0, "e", None, at(5), 5)),
        (video("failed", 5, error_code="e", error_message="m", progress=7), ("failed", 7, "e", "m", at(5), 5)),
        (video("updated", 5, title="B"), ("failed", 0, "old", None, at(2), 2)),
        (video("deleted", 5), ("failed", 0, "old", None, at(2), 2)),
    ],
)
def test_the_state_is_what_the_highest_version_that_sets_it_says(record: Sent, expected: tuple[Any, ...]) -> None:
    assert state(the_video(video("failed", 2, error_code="old"), record)) == expected


def test_each_facet_follows_its_own_versions_in_any_order() -> None:
    records = [
        video("created", 1, title="A"),
        video("processing", 2),
        video("completed", 3, **OUTPUT),
        video("updated", 4, title="B"),
        video("processing", 6),
        video("failed", 7, error_code="e", progress=12),
    ]
    for seed in range(20):
        row = the_video(*random.Random(seed).choices(records, k=30), *records)
        assert part(row, "title", "details_version") == ("B", 4)
        assert part(row, "started_at", "start_version") == (at(6), 6)
        assert part(row, "output_url", "file_size", "completed_at", "output_version") == (
            OUTPUT["output_url"],
            9,
            at(3),
            3,
        )
        assert state(row) == ("failed", 12, "e", None, at(7), 7)
        assert part(row, "version", "created_at", "updated_at") == (7, at(1), at(7))


def test_the_version_decides_and_never_the_time() -> None:
    row = the_video(video("created", 2, minutes=1, title="new"), video("created", 1, minutes=9, title="old"))
    assert part(row, "title", "updated_at", "created_at") == ("new", at(1), at(1))


def test_a_restored_video_is_not_deleted() -> None:
    deleted = the_video(video("deleted", 1))
    assert part(deleted, "deleted_at", "is_deleted", "deletion_version") == (at(1), True, 1)
    restored = the_video(video("restored", 2), video("deleted", 1))
    assert part(restored, "deleted_at", "is_deleted", "deletion_version") == (None, False, 2)


def test_the_owner_is_that_of_the_highest_version() -> None:
    row = the_video(video("progressed", 9, owner=OTHER_USER, progress=1), video("created", 1, title="A"))
    assert row["user_id"] == UUID(OTHER_USER)


def test_a_created_user_is_a_whole_row() -> None:
    assert the_user(user("created", 2, **ACCOUNT)) == {
        "id": UUID(USER),
        **ACCOUNT,
        "avatar_url": None,
        "is_active": True,
        "preferences": {},
        "last_login_at": None,
        "deleted_at": None,
        "is_deleted": False,
        "account_version": 2,
        "activation_version": 2,
        "preferences_version": 2,
        "login_version": 0,
        "deletion_version": 0,
        "version": 2,
        "created_at": at(2),
        "updated_at": at(2),
    }


def test_each_facet_of_a_user() -> None:
    row = the_user(
        user("logged_in", 6),
        user("deactivated", 5),
        user("preferences_changed", 4, preferences={"a": [1]}),
        user("updated", 3, username="brisk_1", email="brisk_1@example.com"),
        user("created", 2, **ACCOUNT, avatar_url="https://x.example/a.png", preferences={"b": 2}),
    )
    assert part(row, "username", "avatar_url", "account_version") == ("brisk_1", None, 3)
    assert part(row, "preferences", "preferences_version") == ({"a": [1]}, 4)
    assert part(row, "is_active", "activation_version") == (False, 5)
    assert part(row, "last_login_at", "login_version", "version") == (at(6), 6, 6)
    assert the_user(user("activated", 7), user("deactivated", 5))["is_active"] is True


def test_a_user_of_whom_only_a_login_is_known_has_defaults() -> None:
    row = the_user(user("logged_in", 6))
    assert part(row, "username", "is_active", "preferences", "account_version") == (None, True, {}, 0)


def test_a_profile_is_a_row_of_its_own_and_advances_its_user() -> None:
    records = user("profile_updated", 3, company="B Ltd"), user("profile_updated", 2, bio="x"), user("logged_in", 9)
    tables = expected_tables(records)
    assert tables["user_profiles"][USER] == {
        "user_id": UUID(USER),
        "company": "B Ltd",
        **dict.fromkeys(("full_name", "locale", "timezone", "bio")),
        "profile_version": 3,
        "created_at": at(2),
        "updated_at": at(3),
    }
    user_row = the_user(*records[:2])
    assert part(user_row, "version", "created_at", "updated_at", "account_version") == (3, at(2), at(3), 0)


def test_usage_is_a_fact_and_its_video_and_user_are_placeholders() -> None:
    tables = expected_tables([usage(cost_usd="0.100000", input_units=5), usage(cost_usd="0.100000", input_units=5)])
    assert tables["model_usage"][USAGE] == {
        "id": UUID(USAGE),
        "video_id": UUID(VIDEO),
        "user_id": UUID(USER),
        "model_name": "voice-2",
        "input_units": 5,
        "cost_usd": Decimal("0.1"),
        **dict.fromkeys(("model_type", "output_units", "duration_seconds")),
        **dict.fromkeys(("used_at", "created_at", "updated_at"), at(1)),
    }
    assert tables["videos"] == {VIDEO: {"version": 0}}
    assert tables["users"] == {USER: {"version": 0}}


def test_every_owner_that_a_video_ever_had_is_a_row() -> None:
    tables = expected_tables([video("created", 1, title="A"), video("updated", 2, owner=OTHER_USER, title="A")])
    assert tables["users"] == {USER: {"version": 0}, OTHER_USER: {"version": 0}}


def test_a_row_of_which_something_was_said_is_no_placeholder() -> None:
    tables = expected_tables([usage(), video("deleted", 4), user("deleted", 5), usage()])
    assert part(tables["videos"][VIDEO], "version", "created_at") == (4, at(4))
    assert part(tables["users"][USER], "version", "created_at") == (5, at(5))


def test_an_erased_video_keeps_nothing_and_nothing_comes_back() -> None:
    records = [
        video("created", 1, title="A"),
        erasure("video-events", VIDEO),
        video("completed", ERASED - 1, 9, **OUTPUT),
    ]
    row = the_video(*records)
    assert set(part(row, "user_id", "title", "status", "progress", "output_url", "completed_at")) == {None}
    assert part(row, "deleted_at", "is_deleted", "updated_at", "created_at") == (NOON, True, NOON, NOON)
    versions = {value for column, value in row.items() if column.endswith("version")}
    assert versions == {ERASED + NOON_MS}
    assert the_video(*reversed(records)) == row


def test_an_erased_user_has_defaults_and_an_erased_profile() -> None:
    tables = expected_tables([erasure("user-events", USER)])
    assert part(tables["users"][USER], "username", "email", "is_active", "preferences") == (None, None, True, {})
    assert part(tables["users"][USER], "deleted_at", "version") == (NOON, ERASED + NOON_MS)
    assert tables["user_profiles"][USER] == {
        "user_id": UUID(USER),
        **dict.fromkeys(("full_name", "company", "locale", "timezone", "bio")),
        "profile_version": ERASED + NOON_MS,
        "created_at": NOON,
        "updated_at": NOON,
    }
    assert tables["videos"] == {}


def test_the_later_of_two_erasures_wins() -> None:
    row = the_video(erasure("video-events", VIDEO, NOON_MS + 1), erasure("video-events", VIDEO))
    assert part(row, "created_at", "version") == (NOON, ERASED + NOON_MS + 1)
    assert row["deleted_at"] == row["updated_at"] == NOON + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("timestamp_ms", "clamped", "erased_at"),
    [
        (-1, 0, datetime(1970, 1, 1, tzinfo=UTC)),
        (2**60, 7_258_118_400_000, datetime(2200, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_time_of_an_erasure_is_clamped(timestamp_ms: int, clamped: int, erased_at: datetime) -> None:
    row = the_video(erasure("video-events", VIDEO, timestamp_ms))
    assert part(row, "deleted_at", "created_at", "version") == (erased_at, erased_at, ERASED + clamped)
