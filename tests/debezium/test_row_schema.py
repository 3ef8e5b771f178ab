"""Row changes read in one pass are the events that the plain form reads, and what is wrong with them is the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.events import InvalidEventError
from reelsync.events.debezium import RowChangeTopic, parse_row_change, row_change_parser
from reelsync.events.debezium.row_schema import RowPicker
from tests.support.builders import an_id, record
from tests.support.row_changes import (
    CAPTURED_AT,
    USERS,
    VIDEOS,
    captured_records,
    key_of,
    row_change,
    user_row,
    video_row,
)

PROFILE = dict.fromkeys(("full_name", "company", "locale", "timezone", "bio"), "x")
OUTPUT = {
    "output_url": "https://cdn.example.com/x.mp4",
    "duration_seconds": 1.5,
    "processing_time": 2,
    "file_size": 2**40,
}
TIMES = dict.fromkeys(("failed_at", "started_at", "completed_at"), "2026-01-05T10:00:00.123456Z")
WRITTEN_TIMES = dict.fromkeys(("created_at", "deleted_at"), "2026-01-05T11:00:00+01:00")
ROWS = {
    "video": video_row() | OUTPUT | TIMES | WRITTEN_TIMES | {"revision": 3},
    "user": user_row() | PROFILE | WRITTEN_TIMES | {"revision": 3},
}
VALUES = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 1.0, 50, 101, 2**62, 2**63, 10**400, 1_767_607_200_000, float("nan")),
        *("", "\x00", "\ud800", "x", "x" * 6_000, "pending", "completed", "{}", '{"a": 1}', "{", "1.5"),
        *([], {}, {"a": {"b": [1]}}, an_id(1), an_id(1).upper(), an_id(1).replace("-", "")),
        *("2026-01-05T10:00:00Z", "2026-01-05 10:00:00", "2026-01-05T10:00:00.123456789-07:30", "1767225600"),
        "__debezium_unavailable_value",
    ]
)
OPTIONAL = (*PROFILE, *OUTPUT, *TIMES, *WRITTEN_TIMES, "thumbnail_url", "is_active", "preferences", "description")
RENAMED = {"title": "name", "username": "login", "created_at": "inserted", "id": "key", "user_id": "owner"}
MEMBERS = st.sampled_from(["before", "after", "source", "op", "ts_ms", "schema", "payload"])
MICROSECONDS = "io.debezium.time.MicroTimestamp"


@st.composite
def changes(draw: st.DrawFn, aggregate: str, renamed: dict[str, str]) -> bytes:
    """An envelope with some columns left out and some things changed; some are still valid."""
    row = dict(ROWS[aggregate])
    for name in draw(st.sampled_from([(), (), (), OPTIONAL, *((name,) for name in OPTIONAL)])):
        row.pop(name, None)
    for name in draw(st.lists(st.sampled_from([*ROWS[aggregate]]), max_size=1)):
        row[name] = draw(VALUES)
    source = {"lsn": 7, "ts_us": CAPTURED_AT * 1000 + 1, "ts_ms": CAPTURED_AT, "file": "binlog.7", "pos": 4, "row": 1}
    for name in draw(st.lists(st.sampled_from([*source]), max_size=1)):
        source[name] = draw(VALUES)
    for name in draw(st.lists(st.sampled_from([*source]), max_size=3)):
        source.pop(name, None)
    after: Any = {renamed.get(name, name): value for name, value in row.items()}
    envelope: Any = {"before": None, "after": after, "source": source, "op": draw(st.sampled_from("cruuuuuuuutd"))}
    if draw(st.integers(0, 9)) == 0:
        envelope[draw(MEMBERS)] = draw(VALUES)
    if draw(st.booleans()):
        types = [
            {"field": name, "name": MICROSECONDS} for name in draw(st.lists(st.sampled_from([*after]), max_size=3))
        ]
        envelope = {"schema": {"fields": [{"field": "after", "fields": types}]}, "payload": envelope}
        if draw(st.integers(0, 9)) == 0:
            envelope[draw(MEMBERS)] = draw(VALUES)
    return json.dumps(envelope, separators=(",", ":")).encode()


def topic_of(aggregate: str, **options: Any) -> RowChangeTopic:
    return RowChangeTopic.model_validate({"aggregate": aggregate, "version": "revision"} | options)


def verdict_of(parse: Any, found: Any) -> Any:
    try:
        return parse(found)
    except InvalidEventError as error:
        return error.reason, error.problems


def is_beyond_json(value: bytes) -> bool:
    """NaN is refused wherever it stands, but by one pass only among the members that it picks."""
    return b"NaN" in value


@pytest.mark.parametrize("aggregate", ["user", "video"])
@pytest.mark.parametrize(
    ("renamed", "version", "deletes"), [({}, "revision", "soft_delete"), (RENAMED, "source.lsn", "erase")]
)
@given(data=st.data())
def test_both_forms_come_to_one_verdict(
    aggregate: str, renamed: dict[str, str], version: str, deletes: str, data: st.DataObject
) -> None:
    names = {column: name for column, name in renamed.items() if column in ROWS[aggregate]}
    topic = topic_of(aggregate, version=version, deletes=deletes, columns=names)
    value = data.draw(changes(aggregate, names).filter(lambda found: not is_beyond_json(found)))
    found = record(value, topic=VIDEOS if aggregate == "video" else USERS, key=key_of(an_id(1)))
    in_one_pass = verdict_of(row_change_parser(topic), found)
    plainly = verdict_of(lambda seen: parse_row_change(seen, topic), found)
    assert in_one_pass == plainly
    if isinstance(in_one_pass, dict) and "facets" in in_one_pass["data"]:
        assert [*in_one_pass["data"]["facets"]] == [*plainly["data"]["facets"]], "the fold takes them in this order"


def test_what_debezium_wrote_is_read_in_one_pass_and_the_same() -> None:
    in_one_pass = 0
    for found in captured_records():
        of = found.topic.rpartition(".")[2]
        if found.topic.startswith(("studio.public.", "defaults.plain.")) and found.value is not None:
            topic = topic_of(of.removesuffix("s"), version="row_version")
            in_one_pass += RowPicker(topic).pick(found.value) is not None
            expected = verdict_of(lambda seen, topic=topic: parse_row_change(seen, topic), found)
            assert verdict_of(row_change_parser(topic), found) == expected
    assert in_one_pass >= 18


@pytest.mark.parametrize("deletes", ["soft_delete", "erase"])
def test_rows_as_debezium_writes_nearly_all_of_them_are_read_in_one_pass(deletes: str) -> None:
    for row in ROWS.values():
        picker = RowPicker(topic_of("video" if "title" in row else "user", deletes=deletes))
        for op in "cru":
            assert picker.pick(row_change(op, row).value) is not None
        assert picker.pick(row_change("d", row).value) is None


def test_a_record_with_a_schema_is_read_in_one_pass_unless_times_are_numbers_in_it() -> None:
    picker = RowPicker(topic_of("video"))
    for type_name, picked in (("io.debezium.time.ZonedTimestamp", True), (MICROSECONDS, False)):
        schema = {"fields": [{"field": "after", "fields": [{"field": "started_at", "name": type_name}]}]}
        payload = json.loads(row_change("u", ROWS["video"]).value)
        value = json.dumps({"schema": schema, "payload": payload}, separators=(",", ":")).encode()
        assert (picker.pick(value) is not None) == picked


def test_a_row_with_a_value_that_was_not_logged_is_left_to_the_plain_form() -> None:
    row = video_row(revision=1, description="__debezium_unavailable_value")
    assert RowPicker(topic_of("video")).pick(row_change("u", row).value) is None
