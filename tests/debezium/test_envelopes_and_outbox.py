"""Row changes and outbox rows: what they amount to, and what is refused."""

import json
import re
from datetime import UTC, datetime, timedelta
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
    USERS,
    VIDEO_OUTBOX,
    VIDEOS,
    envelope,
    key_of,
    row_change,
    topics,
    user_row,
    video_row,
)

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "debezium.md").read_text()


def verdict_on(found: Any, **options: Any) -> Any:
    return decode(found, topics(**options), 20_000)


def event_of(found: Any, **options: Any) -> Any:
    event = verdict_on(found, **options)
    assert not isinstance(event, Rejection), event.detail
    return event


def problems_of(found: Any, **options: Any) -> dict[str, str]:
    verdict = verdict_on(found, **options)
    assert isinstance(verdict, Rejection), verdict
    return {problem["path"]: problem["code"] for problem in verdict.detail["problems"]}


def rows_of(*events: Any) -> dict[str, list[dict[str, Any]]]:
    statements = plan(Fold(events)).statements(Missing((), ()))
    return {statement.table: json.loads(statement.rows) for statement in statements}


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


@pytest.mark.parametrize("number", [0, -1, 2**62, 1.5, "7", None, True])
def test_a_version_that_is_none_is_refused(number: Any) -> None:
    assert problems_of(row_change("u", video_row(), lsn=number)) == {"source.lsn": "version"}
    found = row_change("u", video_row(revision=number))
    assert problems_of(found, version="revision") == {"after.revision": "version"}


def test_a_removal_stands_one_above_the_last_version_of_the_column() -> None:
    found = row_change("d", video_row(owner=3, revision=5), lsn=99)
    event = event_of(found, version="revision")
    assert event["type"] == "video.row_deleted"
    assert event["data"] == {"video_id": an_id(1), "user_id": an_id(1003), "version": 6}
    (written,) = rows_of(event)["videos"]
    assert (written["deleted_at"], written["deletion_version"]) == (AT.isoformat(), 6)
    user = event_of(row_change("d", user_row(revision=5)), version="revision")
    assert user["data"] == {"user_id": an_id(1001), "version": 6}


@pytest.mark.parametrize("before", [None, {"id": an_id(1)}, {"id": an_id(1), "user_id": "", "revision": 1}])
def test_a_removal_that_does_not_say_whose_video_it_was_is_refused_unless_it_erases(before: Any) -> None:
    found = record(envelope("d", before), topic=VIDEOS, key=key_of(an_id(1)))
    assert problems_of(found) == {"before.user_id": "id_format"}
    event = event_of(found, deletes="erase")
    assert (event["type"], event["data"]["video_id"], event["time"]) == ("video.tombstone", an_id(1), AT)


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


def outbox(value: bytes | None, *, event_type: str | None = "video.completed", **headers: str) -> Any:
    placed = {"id": "e-1", "eventType": event_type, "time": "2026-01-05T10:00:01Z", **headers}
    return record(
        value,
        topic=VIDEO_OUTBOX,
        key=an_id(1).encode(),
        headers=[(name, text.encode()) for name, text in placed.items() if text is not None],
    )


DATA = json.loads(video("completed"))["data"]


@pytest.mark.parametrize(
    "value",
    [
        json.dumps(DATA),
        json.dumps(json.dumps(DATA)),
        json.dumps({"schema": {"type": "string"}, "payload": json.dumps(DATA)}),
        json.dumps({"schema": {"type": "struct"}, "payload": DATA}),
    ],
)
def test_a_payload_is_read_as_any_converter_writes_it(value: str) -> None:
    event = event_of(outbox(value.encode()))
    assert (event["id"], event["source"], event["type"]) == ("e-1", VIDEO_OUTBOX, "video.completed")
    assert event["time"] == AT + timedelta(seconds=1)
    assert event["data"] == DATA | {"thumbnail_url": None}


def test_without_a_time_header_the_record_s_timestamp_counts() -> None:
    found = outbox(json.dumps(DATA).encode())
    found.headers = [header for header in found.headers if header[0] != "time"]
    assert event_of(found)["time"] == AT


def test_a_payload_that_is_a_whole_event_needs_no_headers() -> None:
    found = record(json.dumps(video("processing", version=4).decode()).encode(), topic=VIDEO_OUTBOX)
    assert (event_of(found)["type"], event_of(found)["data"]["version"]) == ("video.processing", 4)


def test_what_is_wrong_with_an_outbox_row_is_said_in_the_router_s_words() -> None:
    value = json.dumps(DATA).encode()
    assert problems_of(outbox(value, event_type=None)) == {"header eventType": "missing"}
    assert problems_of(outbox(value, id="")) == {"header id": "missing"}
    assert problems_of(outbox(value, time="yesterday")) == {"header time": "time"}
    unknown = verdict_on(outbox(value, event_type="video.exploded"))
    assert (unknown.reason, unknown.event_type, unknown.event_id) == ("unknown_type", "video.exploded", "e-1")
    assert problems_of(outbox(value, event_type="video.exploded")) == {"header eventType": "unknown_type"}
    half = verdict_on(outbox(json.dumps(DATA | {"file_size": -1}).encode()))
    assert (half.detail["problems"][0]["path"], str(half.aggregate_id)) == ("data.file_size", an_id(1))
    assert verdict_on(outbox(b"{")).reason == "not_json"


def test_a_null_payload_erases_if_its_type_says_so() -> None:
    assert event_of(outbox(None, event_type="video.erased"))["type"] == "video.tombstone"
    assert problems_of(outbox(None, event_type=None)) == {"header eventType": "bad_tombstone"}
    for other in ("video.created", "video.craeted", "user.erased"):
        assert problems_of(outbox(None, event_type=other)) == {"value": "bad_tombstone"}
    usage = {VIDEO_OUTBOX: OutboxTopic(aggregate="model_usage")}
    assert isinstance(decode(outbox(None, event_type="video.erased"), usage, 1_000), Rejection)


@pytest.mark.parametrize("prefix", [b"\xff\xfe", b"\xef\xbb\xbf"])
def test_what_a_serializer_put_before_the_json_is_named(prefix: bytes) -> None:
    for found in (row_change("c", user_row()), outbox(json.dumps(DATA).encode())):
        found.value = prefix + found.value
        (problem,) = verdict_on(found).detail["problems"]
        assert "it begins with" in problem["message"]


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
