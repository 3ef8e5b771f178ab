"""Row changes that no event may carry, and bytes that are no row change: what is refused, and what is said of it."""

import json
from typing import Any

import pytest

from tests.support.builders import an_id, record, video
from tests.support.row_changes import (
    AT,
    USERS,
    VIDEO_OUTBOX,
    VIDEOS,
    envelope,
    event_of,
    key_of,
    problems_of,
    row_change,
    topics,
    user_row,
    verdict_on,
    video_row,
)


@pytest.mark.parametrize("number", [0, -1, 2**62, 1.5, "7", None, True])
def test_a_version_that_is_none_is_refused(number: Any) -> None:
    assert problems_of(row_change("u", video_row(), lsn=number)) == {"source.lsn": "version"}
    found = row_change("u", video_row(revision=number))
    assert problems_of(found, version="revision") == {"after.revision": "version"}


@pytest.mark.parametrize("before", [None, {"id": an_id(1)}, {"id": an_id(1), "user_id": "", "revision": 1}])
def test_a_removal_that_does_not_say_whose_video_it_was_is_refused_unless_it_erases(before: Any) -> None:
    found = record(envelope("d", before), topic=VIDEOS, key=key_of(an_id(1)))
    assert problems_of(found) == {"before.user_id": "id_format"}
    event = event_of(found, deletes="erase")
    assert (event["type"], event["data"]["video_id"], event["time"]) == ("video.tombstone", an_id(1), AT)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"{", b"7", b'{"id":7}', b'{"other":"x"}', b"[]", b'"x"'])
def test_a_null_value_without_an_id_is_a_bad_tombstone(key: bytes | None) -> None:
    for topic in (VIDEOS, VIDEO_OUTBOX):
        verdict = verdict_on(record(None, topic=topic, key=key))
        assert (verdict.stage, verdict.reason, verdict.aggregate_id) == ("decode", "bad_tombstone", None)


@pytest.mark.parametrize(
    ("row", "problems"),
    [
        (video_row(description="__debezium_unavailable_value"), {"after.description": "unavailable_value"}),
        (video_row(title=None), {"after.title": "string_type"}),
        (video_row(status="COMPLETED"), {"after.status": "literal_error"}),
        (video_row(progress=101), {"after.progress": "less_than_equal"}),
        (video_row(duration_seconds="AKEi"), {"after.duration_seconds": "float_type"}),
        (video_row(started_at=1767607200000), {"after.started_at": "time_unit"}),
        (video_row(started_at="1767607200"), {"after.started_at": "time"}),
        (video_row(created_at=5), {"after.created_at": "time_unit"}),
        (video_row(user_id=None), {"after.user_id": "id_format"}),
        (video_row(id="x"), {"after.id": "id_format"}),
        (video_row(title="a\x00b"), {"after.title": "string_pattern_mismatch"}),
        (video_row(title=None, progress=-1), {"after.title": "string_type", "after.progress": "greater_than_equal"}),
        ({"id": an_id(1), "user_id": an_id(2), "title": "t", "progress": 1}, {"after.status": "missing"}),
        (user_row(is_active=2), {"after.is_active": "bool_type"}),
        (user_row(is_active=None), {"after.is_active": "bool_type"}),
        (user_row(preferences="{"), {"after.preferences": "json_invalid"}),
        (user_row(preferences="[1]"), {"after.preferences": "dict_type"}),
        (user_row(preferences='{"n": 1e999}'), {"after.preferences": "json_number"}),
        (user_row(username="a b"), {"after.username": "string_pattern_mismatch"}),
    ],
)  # fmt: skip
def test_what_no_event_may_carry_is_refused_with_its_path(row: dict[str, Any], problems: dict[str, str]) -> None:
    assert problems_of(row_change("u", row)) == problems


@pytest.mark.parametrize("value", [5.5, float(2**53 + 2), "5", "BQ==", {"scale": 0, "value": "BQ=="}])
def test_a_numeric_column_that_says_no_integer_names_the_setting(value: Any) -> None:
    size, version = video_row(output_url="x", file_size=value), video_row(revision=value)
    for verdict in (verdict_on(row_change("c", size)), verdict_on(row_change("c", version), version="revision")):
        (problem,) = verdict.detail["problems"]
        assert "decimal.handling.mode=double" in problem["message"]


def test_the_placeholder_of_a_value_that_was_not_logged_is_the_topic_s() -> None:
    found = row_change("u", user_row(avatar_url="__other__"))
    assert event_of(found)["data"]["facets"]["account"]["avatar_url"] == "__other__"
    assert problems_of(found, unavailable_value="__other__") == {"after.avatar_url": "unavailable_value"}
    with pytest.raises(ValueError, match="unavailable_value"):
        topics(unavailable_value="")


def test_a_removal_with_made_up_values_names_the_statement_that_mends_it() -> None:
    made_up = {"id": an_id(1001), "username": "", "email": "", "is_active": False, "preferences": "{}", "revision": 0}
    users = record(envelope("d", made_up), topic=USERS, key=key_of(an_id(1001)))
    videos = record(envelope("d", {"id": an_id(1), "user_id": "", "revision": 0}), topic=VIDEOS, key=key_of(an_id(1)))
    for found in (users, videos):
        problems = verdict_on(found, version="revision").detail["problems"]
        assert all("ALTER TABLE … REPLICA IDENTITY FULL" in problem["message"] for problem in problems)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b'{"op": NaN}', "not_json"),
        (b"null", "not_an_event"),
        (b"[]", "not_an_event"),
        (json.dumps(video_row()).encode(), "not_an_event"),
        (b'{"op":"c","source":7}', "not_an_event"),
        (b'{"op":"t","source":{},"after":null}', "invalid"),
        (b'{"op":"m","source":{},"after":null}', "invalid"),
        (b'{"op":["c"],"source":{},"after":null}', "invalid"),
        (b'{"op":"c","source":{},"after":null}', "invalid"),
        (b'{"op":"c","source":{},"after":[]}', "invalid"),
        (video("created"), "not_an_event"),
    ],
)
def test_what_is_no_envelope_is_refused(value: bytes, reason: str) -> None:
    verdict = verdict_on(record(value, topic=VIDEOS, key=key_of(an_id(1))))
    assert (verdict.reason, str(verdict.aggregate_id)) == (reason, an_id(1))


@pytest.mark.parametrize("source", [{"ts_ms": -1}, {"ts_ms": 2**62}, {"ts_us": 2**62}, {"ts_ms": "1"}, {}])
def test_a_change_without_a_time_is_refused(source: dict[str, Any]) -> None:
    found = record(envelope("u", video_row(), source={"lsn": 1} | source), topic=VIDEOS)
    assert problems_of(found) == {"source.ts_ms": "time"}
