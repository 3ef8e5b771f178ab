"""Row changes: what they amount to, and that the page about them says what is so."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, plan
from reelsync.events.debezium import OutboxTopic, RowChangeTopic, rows
from reelsync.events.debezium.topics import Column
from tests.support.builders import START, an_id, record, structured, video
from tests.support.decoding import decode
from tests.support.row_changes import (
    AT,
    USERS,
    VIDEOS,
    envelope,
    event_of,
    key_of,
    problems_of,
    row_change,
    rows_of,
    topics,
    user_row,
    verdict_on,
    video_row,
)

PAGE = (Path(__file__).parents[2] / "docs" / "debezium.md").read_text()


@pytest.mark.parametrize("op", ["c", "r", "u"])
def test_a_change_sets_the_facets_that_the_row_carries_and_no_other(op: str) -> None:
    row = {"id": an_id(1), "user_id": an_id(1001), "title": "Tour", "status": "processing", "progress": 30}
    event = event_of(row_change(op, row, lsn=7), deletes="erase")
    assert event["data"]["facets"].keys() == {"details", "state"}
    (written,) = rows_of(event)["videos"]
    assert written["details_version"] == written["state_version"] == written["version"] == 7
    assert not {"start_version", "output_version", "deletion_version"} & written.keys()
    assert (written["title"], written["description"], written["progress"]) == ("Tour", None, 30)
    assert (written["user_id"], written["updated_at"]) == (an_id(1001), AT.isoformat())


def test_a_user_s_row_sets_the_profile_too_if_it_has_any_of_it() -> None:
    rows = rows_of(event_of(row_change("c", user_row(bio="x", timezone=None), lsn=3)))
    assert (
        rows["user_profiles"][0] | {"user_id": an_id(1001), "bio": "x", "profile_version": 3}
        == rows["user_profiles"][0]
    )
    assert "profile_version" not in rows["users"][0]
    assert rows["users"][0]["preferences"] == {"theme": "dark"}
    assert "user_profiles" not in rows_of(event_of(row_change("c", user_row(), lsn=3)))


def test_with_soft_deletes_a_row_that_is_there_is_not_deleted_and_otherwise_nobody_says_so() -> None:
    assert event_of(row_change("u", video_row()))["data"]["facets"]["deletion"] == {"deleted_at": None}
    assert "deletion" not in event_of(row_change("u", video_row()), deletes="erase")["data"]["facets"]
    deleted = row_change("u", video_row(deleted_at="2026-01-05T09:00:00Z"))
    for deletes in ("soft_delete", "erase"):
        facets = event_of(deleted, deletes=deletes)["data"]["facets"]
        assert facets["deletion"] == {"deleted_at": AT - timedelta(hours=1)}


def test_the_time_at_which_the_row_was_created_counts_but_not_for_the_age_of_events() -> None:
    fold = Fold([event_of(row_change("r", video_row(created_at="2020-02-03T04:05:06Z")))])
    assert fold.earliest == AT
    (written,) = json.loads(plan(fold).statements(Missing((), ()))[0].rows)
    assert written["created_at"] == "2020-02-03T04:05:06+00:00"
    assert written["updated_at"] == AT.isoformat()


@pytest.mark.parametrize(
    ("version", "expected"), [("source.lsn", 99), ("source.ts_ms", int(AT.timestamp() * 1000)), ("revision", 5)]
)
def test_the_version_stands_where_the_settings_say(version: str, expected: int) -> None:
    assert event_of(row_change("u", video_row(revision=5), lsn=99), version=version)["data"]["version"] == expected


def test_a_removal_stands_one_above_the_last_version_of_the_column() -> None:
    found = row_change("d", video_row(owner=3, revision=5), lsn=99)
    event = event_of(found, version="revision")
    assert event["type"] == "video.row_deleted"
    assert event["data"] == {"video_id": an_id(1), "user_id": an_id(1003), "version": 6}
    (written,) = rows_of(event)["videos"]
    assert (written["deleted_at"], written["deletion_version"]) == (AT.isoformat(), 6)
    user = event_of(row_change("d", user_row(revision=5)), version="revision")
    assert user["data"] == {"user_id": an_id(1001), "version": 6}


def test_a_removal_of_a_user_needs_its_row_only_for_the_version_in_a_column() -> None:
    found = record(envelope("d", {"id": an_id(1001), "revision": 1}, lsn=9), topic=USERS, key=key_of(an_id(1001)))
    assert event_of(found)["data"] == {"user_id": an_id(1001), "version": 9}
    assert problems_of(found, version="revision") == {"before.username": "missing"}


@pytest.mark.parametrize("deletes", ["soft_delete", "erase"])
def test_the_null_value_after_a_removal_erases_only_where_removals_do(deletes: str) -> None:
    event = event_of(record(None, topic=USERS, key=key_of(an_id(1001))), deletes=deletes)
    fold = Fold([event])
    assert event["type"] == ("user.tombstone" if deletes == "erase" else "user.row_tombstone")
    assert bool(fold.rows["users"]) == (deletes == "erase")
    assert fold.conflicts == 0


@pytest.mark.parametrize(
    "key",
    [
        an_id(1).encode(),
        json.dumps(an_id(1)).encode(),
        key_of(an_id(1)),
        json.dumps({"schema": {"type": "struct"}, "payload": {"id": an_id(1).upper()}}).encode(),
        json.dumps({"schema": {"type": "string"}, "payload": an_id(1)}).encode(),
    ],
)
def test_a_key_is_read_as_any_converter_writes_it(key: bytes) -> None:
    assert event_of(record(None, topic=VIDEOS, key=key))["data"] == {"video_id": an_id(1)}
    too_large = verdict_on(record(b"x" * 30_000, topic=VIDEOS, key=key))
    assert (too_large.reason, str(too_large.aggregate_id)) == ("too_large", an_id(1))


def test_what_an_upstream_table_may_hold_beside_is_taken() -> None:
    user = event_of(row_change("c", user_row(is_active=1, preferences=None)))["data"]["facets"]
    assert (user["activation"], user["preferences"]) == ({"is_active": True}, {"preferences": {}})
    for status, progress in (("completed", 100), ("failed", 0)):
        row = {"id": an_id(1), "user_id": an_id(2), "title": "t", "status": status, "unknown": [1]}
        assert event_of(row_change("c", row))["data"]["facets"]["state"]["progress"] == progress


def test_a_numeric_column_as_a_double_is_the_integer_that_it_says() -> None:
    row = video_row(status="completed", output_url="x", progress=100.0, file_size=float(2**53), revision=7.0)
    data = event_of(row_change("c", row), version="revision")["data"]
    assert (data["version"], data["facets"]["output"]["file_size"]) == (7, 2**53)
    assert type(data["version"]) is type(data["facets"]["state"]["progress"]) is int


def test_columns_with_other_names_are_found_and_named_in_problems() -> None:
    row = {"video_id": an_id(1), "owner": an_id(1002), "name": "Tour", "rev": 4}
    columns = {"id": "video_id", "user_id": "owner", "title": "name"}
    found = record(envelope("u", row), topic=VIDEOS, key=b'{"video_id":"x"}')
    event = event_of(found, columns=columns, version="rev")
    assert (event["data"]["video_id"], event["data"]["user_id"], event["data"]["version"]) == (an_id(1), an_id(1002), 4)
    assert event["data"]["facets"]["details"]["title"] == "Tour"
    wrong = record(envelope("u", row | {"name": 7}), topic=VIDEOS)
    assert problems_of(wrong, columns=columns, version="rev") == {"after.name": "string_type"}
    assert str(verdict_on(wrong, columns=columns, version="rev").aggregate_id) == an_id(1)


@pytest.mark.parametrize(
    ("unit", "ticks"),
    [
        ("io.debezium.time.Timestamp", 1_000),
        ("io.debezium.time.MicroTimestamp", 1_000_000),
        ("io.debezium.time.NanoTimestamp", 1_000_000_000),
        ("org.apache.kafka.connect.data.Timestamp", 1_000),
    ],
)
def test_a_schema_says_the_unit_of_a_time(unit: str, ticks: int) -> None:
    row = video_row(started_at=int(START.timestamp()) * ticks + ticks // 2)
    fields = [{"field": "after", "type": "struct", "fields": [{"field": "started_at", "type": "int64", "name": unit}]}]
    document = {"schema": {"fields": fields}, "payload": json.loads(envelope("u", row))}
    event = event_of(record(json.dumps(document).encode(), topic=VIDEOS))
    assert event["data"]["facets"]["start"] == {"started_at": START + timedelta(milliseconds=500)}
    far = json.loads(envelope("u", video_row(started_at=2**63 - 1)))
    document["payload"] = far
    assert problems_of(record(json.dumps(document).encode(), topic=VIDEOS)).keys() == {"after.started_at"}


@pytest.mark.parametrize(
    "column", [{"field": []}, {"field": {}}, {"name": {}}, {"field": "title", "name": []}, [], 7, None]
)
def test_a_schema_that_is_none_says_nothing(column: Any) -> None:
    schema = {"fields": [{"field": "after", "fields": [column]}]}
    change = row_change("u", video_row())
    change.value = json.dumps({"schema": schema, "payload": json.loads(change.value)}).encode()
    assert event_of(change)["type"] == "video.row_changed"


def test_a_change_sent_again_is_known_by_its_position() -> None:
    first, again = row_change("u", video_row(), lsn=9), row_change("u", video_row(), lsn=9)
    again.offset = 77
    assert Fold([event_of(first), event_of(again)]).conflicts == 0
    at_once = event_of(row_change("u", video_row(revision=1), lsn=9), version="revision")
    read_again = event_of(row_change("r", video_row(revision=1), lsn=10), version="revision")
    assert Fold([at_once, read_again]).conflicts == 0
    not_raised = event_of(row_change("u", video_row(revision=1, title="x"), lsn=10), version="revision")
    assert Fold([at_once, not_raised]).conflicts == 1
    mysql = {"ts_ms": 1_767_607_200_000, "file": "binlog.000003", "pos": 4, "row": 1}
    found = record(envelope("u", video_row(), source=mysql), topic=VIDEOS)
    assert event_of(found, version="source.ts_ms")["id"] == "binlog.000003:4:1"


def test_native_topics_beside_are_decoded_as_ever() -> None:
    mixed = topics() | {"video-events": "video"}
    native = record(video("created"))
    assert decode(native, mixed, 20_000) == decode(native, {"video-events": "video"}, 20_000)
    erased = decode(record(None, key=an_id(1).encode()), mixed, 20_000)
    assert not isinstance(erased, Rejection)
    assert erased["type"] == "video.tombstone"
    assert isinstance(decode(record(structured("x.y", {})), mixed, 20_000), Rejection)


def test_every_column_of_a_facet_may_have_another_name() -> None:
    known = {column for columns in rows._COLUMNS.values() for column in columns}
    assert {*get_args(Column)} == known | {"id", "user_id"}


def test_the_topics_on_the_page_are_valid_settings() -> None:
    (shown,) = re.findall(r"REELSYNC_KAFKA__TOPICS='(\{.*?\})'", PAGE, re.DOTALL)
    read = KafkaSettings.model_validate({"topics": json.loads(shown)}).topics
    assert read["video-events"] == "video"
    assert read["outbox.event.video"] == OutboxTopic(aggregate="video")
    assert read["studio.public.users"] == RowChangeTopic(aggregate="user", version="row_version")
    videos = read["studio.public.videos"]
    assert isinstance(videos, RowChangeTopic)
    assert (videos.deletes, videos.column_of_table("title")) == ("erase", "name")


def test_every_code_on_the_page_is_one_that_is_given() -> None:
    table = PAGE.split("| code | why | what to do |")[1].split("\n\n")[0]
    codes = {code for line in table.splitlines()[2:] for code in re.findall(r"`([a-z_]+)`", line.split("|")[1])[:1]}
    assert codes == {"unavailable_value", "time_unit", "float_type", "missing", "id_format", "version", "truncate", "no_envelope"}  # fmt: skip  # noqa: E501
