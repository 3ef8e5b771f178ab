"""The merge in memory: the higher version wins per facet, whatever the order, and the plan says it in sorted rows."""

import json
from typing import Any

from builders import an_id, record, structured, usage, user, video
from hypothesis import given
from hypothesis import strategies as st
from random_logs import random_log

from consumer.decode import Rejection, decode
from consumer.fold import Fold
from consumer.plan import Missing, plan, referenced_users, referenced_videos
from consumer.settings import DEFAULT_TOPICS


def events(*values: bytes) -> list[Any]:
    return [
        event for value in values if not isinstance(event := decode(record(value), DEFAULT_TOPICS, 10**6), Rejection)
    ]


def planned(fold: Fold) -> dict[str, list[dict[str, Any]]]:
    missing = Missing(referenced_users(fold), referenced_videos(fold))
    return {statement.table: json.loads(statement.rows) for statement in plan(fold, missing)}


def without_placeholders(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        table: [row if row.get("version") != 0 else {"id": row["id"]} for row in rows] for table, rows in tables.items()
    }


@given(seed=st.integers(0, 10_000), shuffle=st.randoms(use_true_random=False))
def test_any_order_and_duplication_gives_the_same_plan(seed: int, shuffle: Any) -> None:
    log = [decode(item, DEFAULT_TOPICS, 10**6) for item in random_log(seed, users=3, videos=3, events=30)]
    disordered = log + shuffle.choices(log, k=10)
    shuffle.shuffle(disordered)
    expected, actual = planned(Fold(log)), planned(Fold(disordered))  # type: ignore[arg-type]
    assert without_placeholders(actual) == without_placeholders(expected)


def test_a_facet_is_set_whole_and_keeps_its_own_version() -> None:
    log = events(
        video("created", version=1, title="old", description="gone with the update"),
        video("progressed", version=5, progress=70),
        video("updated", version=3, title="new"),
        video("processing", version=2),
    )
    (row,) = planned(Fold(log))["videos"]
    assert (row["title"], row["description"], row["details_version"]) == ("new", None, 3)
    assert (row["status"], row["progress"], row["state_version"]) == ("processing", 70, 5)
    assert (row["start_version"], row["version"]) == (2, 5)
    assert "output_version" not in row


def test_a_failure_keeps_the_progress_it_reports_and_a_completion_clears_the_error() -> None:
    failed = events(video("failed", version=2, error_message="gave up"))
    (row,) = planned(Fold(failed))["videos"]
    assert (row["status"], row["progress"], row["error_message"]) == ("failed", 0, "gave up")
    (row,) = planned(Fold(failed + events(video("completed", version=3))))["videos"]
    assert (row["status"], row["progress"], row.get("error_code")) == ("completed", 100, None)


def test_created_at_is_the_earliest_and_updated_at_that_of_the_highest_version() -> None:
    log = events(video("created", version=9), video("updated", version=4))
    (row,) = planned(Fold(log))["videos"]
    assert (row["created_at"], row["updated_at"]) == ("2026-01-05T10:00:04+00:00", "2026-01-05T10:00:09+00:00")


def test_a_profile_advances_its_user() -> None:
    tables = planned(Fold(events(user("profile_updated", 1, version=7))))
    assert [(row["id"], row["version"], "username" in row) for row in tables["users"]] == [(an_id(1001), 7, False)]
    assert [(row["user_id"], row["profile_version"]) for row in tables["user_profiles"]] == [(an_id(1001), 7)]


def test_references_come_from_superseded_events_too() -> None:
    fold = Fold(events(video("created", 1, version=2, owner=1), video("created", 1, version=1, owner=2)))
    assert set(referenced_users(fold)) == {an_id(1001), an_id(1002)}


def test_a_fact_refers_to_its_video_and_the_owner_of_that() -> None:
    fold = Fold(events(usage(1, of_video=5, owner=6)))
    tables = planned(fold)
    assert [(row["id"], row["version"]) for row in tables["users"]] == [(an_id(1006), 0)]
    assert [(row["id"], row["user_id"], row["version"]) for row in tables["videos"]] == [(an_id(5), an_id(1006), 0)]
    assert list(tables) == ["users", "videos", "model_usage"]


def test_what_is_not_missing_gets_no_placeholder() -> None:
    fold = Fold(events(usage(1)))
    assert [statement.table for statement in plan(fold, Missing([], []))] == ["model_usage"]


def test_the_first_of_two_facts_with_one_id_stands() -> None:
    fold = Fold(events(usage(1, model_name="first"), usage(1, model_name="second")))
    assert [row["model_name"] for row in planned(fold)["model_usage"]] == ["first"]


def test_rows_are_sorted_by_key() -> None:
    fold = Fold(events(*(video("created", n) for n in (5, 1, 4, 2, 3))))
    keys = [row["id"] for row in planned(fold)["videos"]]
    assert keys == sorted(keys)


def test_different_events_with_one_version_are_counted_and_resends_are_not() -> None:
    one = video("created", version=1)
    other = structured("video.updated", json.loads(one)["data"], id="another")
    assert Fold(events(one, one)).conflicts == 0
    assert Fold(events(one, other)).conflicts == 1


def test_integers_beyond_64_bits_survive_in_preferences() -> None:
    fold = Fold(events(user("preferences_changed", preferences={"n": 2**80, "é": [1.5, None]})))
    assert planned(fold)["users"][0]["preferences"] == {"n": 2**80, "é": [1.5, None]}
