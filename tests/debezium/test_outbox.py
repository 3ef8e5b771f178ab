"""Outbox rows as the event router writes them: what they amount to, and what is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest

from reelsync.consumer.transform.decode import Rejection
from reelsync.events.debezium import OutboxTopic
from tests.support.builders import an_id, record, video
from tests.support.decoding import decode
from tests.support.row_changes import AT, VIDEO_OUTBOX, event_of, problems_of, row_change, user_row, verdict_on


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
