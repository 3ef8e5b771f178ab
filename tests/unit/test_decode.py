"""Each record has one verdict: an event, or a rejection that says why and quotes nothing."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.events import ERASED_VERSION
from tests.support.builders import an_id, record, usage, user, video
from tests.support.decoding import decode

LIMIT = 10_000
CE_HEADERS = (("ce_id", b"id-7"), ("ce_type", b"video.created"), ("content-type", b"application/json"))
KEY = an_id(7).encode()


def verdict(value: bytes | None, **fields: Any) -> Any:
    return decode(record(value, **fields), DEFAULT_TOPICS, LIMIT)


def rejected(value: bytes | None, **fields: Any) -> Rejection:
    found = verdict(value, **fields)
    assert isinstance(found, Rejection)
    return found


@pytest.mark.parametrize("topic", [*DEFAULT_TOPICS, "another"])
@pytest.mark.parametrize("value", [video("created"), user("created"), usage()], ids=["video", "user", "fact"])
def test_any_topic_may_carry_any_event(topic: str, value: bytes) -> None:
    assert verdict(value, topic=topic)["type"] == json.loads(value)["type"]


@pytest.mark.parametrize(
    ("value", "stage", "reason"),
    [
        (b"", "decode", "not_json"),
        (b"\xff\xfe", "decode", "not_json"),
        (b"[" * 5_000, "decode", "not_json"),
        (b"[]", "decode", "not_an_event"),
        (b"{}", "decode", "not_an_event"),
        (b"null", "decode", "not_an_event"),
        (video("exploded"), "validate", "unknown_type"),
        (video("created", title=None), "validate", "invalid"),
        (json.dumps(json.loads(video("created")) | {"dataschema": "x"}).encode(), "validate", "unknown_schema"),
        (b"x" * (LIMIT + 1), "decode", "too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_record_without_a_valid_event_is_rejected_with_stage_and_reason(
    value: bytes, stage: str, reason: str
) -> None:
    rejection = rejected(value)
    assert (rejection.stage, rejection.reason) == (stage, reason)
    assert rejection.record.value == value


def test_a_value_may_be_as_long_as_the_limit_and_no_longer() -> None:
    value = video("created")
    longest = value + b" " * (LIMIT - len(value))
    assert verdict(longest)["type"] == "video.created"
    assert rejected(longest + b" ", key=KEY).detail == {"bytes": LIMIT + 1, "limit": LIMIT}
    assert rejected(longest + b" ", key=KEY).aggregate_id == UUID(an_id(7))


@pytest.mark.parametrize(
    ("topic", "kind", "field"),
    [("video-events", "video.tombstone", "video_id"), ("user-events", "user.tombstone", "user_id")],
)
@pytest.mark.parametrize(
    "key", [KEY, KEY.upper(), KEY.replace(b"-", b"")], ids=["canonical", "upper case", "no dashes"]
)
def test_a_null_value_erases_what_its_key_names(topic: str, kind: str, field: str, key: bytes) -> None:
    event = verdict(None, topic=topic, key=key, timestamp=1_500)
    assert event["type"] == kind
    assert event["data"] == {field: an_id(7), "version": ERASED_VERSION + 1_500}
    assert event["time"].timestamp() == 1.5


@pytest.mark.parametrize(
    ("timestamp", "clamped"),
    [(-1, 0), (0, 0), (-(2**63), 0), (7_258_118_400_000, 7_258_118_400_000), (2**63 - 1, 7_258_118_400_000)],
)
def test_the_timestamp_of_an_erasure_is_clamped_to_1970_to_2200(timestamp: int, clamped: int) -> None:
    event = verdict(None, key=KEY, timestamp=timestamp)
    assert event["data"]["version"] == ERASED_VERSION + clamped < 2**63
    assert event["time"].timestamp() * 1000 == clamped


def test_an_erasure_is_told_from_another_by_its_place_in_the_log() -> None:
    ids = {verdict(None, key=KEY, offset=offset)["id"] for offset in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"topic": "model-usage-events", "key": KEY}, "topic"),
        ({"topic": "another", "key": KEY}, "topic"),
        ({"key": None}, "key"),
        ({"key": b""}, "key"),
        ({"key": b"bob"}, "key"),
        ({"key": b"\xff" * 16}, "key"),
        ({"key": UUID(an_id(7)).bytes}, "key"),
        ({"key": KEY + b"\n"}, "key"),
        ({"key": KEY, "headers": CE_HEADERS}, "ce_headers"),
        ({"key": KEY, "headers": (("CE_id", None),)}, "ce_headers"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_null_value_that_names_nothing_to_erase_is_a_bad_tombstone(fields: dict[str, Any], path: str) -> None:
    rejection = rejected(None, **fields)
    assert (rejection.stage, rejection.reason) == ("decode", "bad_tombstone")
    assert [problem["path"] for problem in rejection.detail["problems"]] == [path]


def test_headers_that_are_no_attributes_do_not_keep_a_tombstone_from_erasing() -> None:
    assert verdict(None, key=KEY, headers=(("traceparent", b"\xff"), ("x", None)))["type"] == "video.tombstone"


def test_a_rejection_tells_what_can_be_told_of_the_event() -> None:
    rejection = rejected(video("created", 3, title=None))
    assert (rejection.event_id, rejection.event_type) == ("video.created-1", "video.created")
    assert rejection.aggregate_id == UUID(an_id(3))
    assert rejection.detail == {
        "problems": [{"path": "data.title", "code": "string_type", "message": "Input should be a valid string"}]
    }


def test_a_rejection_of_binary_mode_tells_what_the_headers_say() -> None:
    rejection = rejected(json.dumps({"video_id": an_id(3)}).encode(), headers=CE_HEADERS)
    assert (rejection.event_id, rejection.event_type) == ("id-7", "video.created")
    assert rejection.aggregate_id == UUID(an_id(3))


def test_the_key_names_the_aggregate_before_the_data_does() -> None:
    assert rejected(video("created", 3, title=None), key=KEY).aggregate_id == UUID(an_id(7))


@pytest.mark.parametrize("attribute", ["a\x00b", "x" * 5_000, "", "🎬" * 600], ids=lambda text: ascii(text)[:12])
def test_attributes_of_a_rejection_are_text_that_postgresql_keeps(attribute: str) -> None:
    document = json.dumps(json.loads(video("created", title=None)) | {"id": attribute})
    found = rejected(document.encode()).event_id
    assert found is not None
    assert "\x00" not in found
    assert len(found) <= 500
    assert found.encode().decode() == found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(an_id(1)),
    lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["id", "type", "data", "video_id"]), part),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_type", "ce_time", "content-type", "", "x"]), st.none() | st.binary(max_size=9)
    ),
    max_size=4,
)


@given(
    value=st.none() | st.binary() | JSON.map(lambda part: json.dumps(part).encode()),
    key=st.none() | st.binary() | st.just(KEY),
    headers=HEADERS,
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_no_record_is_without_a_verdict_and_no_verdict_holds_what_json_cannot(
    value: bytes | None, key: bytes | None, headers: Any, timestamp: int
) -> None:
    found = verdict(value, key=key, headers=headers, timestamp=timestamp)
    if isinstance(found, Rejection):
        json.dumps(found.detail).encode()
        assert found.stage in {"decode", "validate"}
    else:
        assert found["type"] == "video.tombstone"


@pytest.mark.parametrize("field", ["video_id", "user_id", "version", "title", "description"])
def test_no_value_shows_in_the_detail_of_a_rejection(field: str) -> None:
    document = json.loads(video("created"))
    document["data"][field] = ["canary-7c1e"]
    assert "canary-7c1e" not in json.dumps(rejected(json.dumps(document).encode()).detail)


@pytest.mark.parametrize("content_type", [b"application/cloudevents+json", b"application/json", None])
def test_a_null_value_with_ce_headers_never_erases(content_type: bytes | None) -> None:
    headers = (("ce_id", b"1"), ("content-type", content_type))
    verdict = decode(record(None, key=an_id(1).encode(), headers=headers), DEFAULT_TOPICS, 1_000)
    assert isinstance(verdict, Rejection)
    assert verdict.reason == "bad_tombstone"


def test_a_rejected_binary_event_is_known_by_its_headers_not_by_its_data() -> None:
    value = json.dumps({"id": "from-data", "type": "data-type", "video_id": an_id(3)}).encode()
    headers = (("CE_ID", b"real"), ("CE_TYPE", b"video.created"), ("content-type", b"application/json"))
    rejection = rejected(value, headers=headers)
    assert (rejection.event_id, rejection.event_type) == ("real", "video.created")


def test_a_record_that_the_decoder_fails_on_is_rejected_and_told_of_without_its_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("personal")

    monkeypatch.setattr("reelsync.consumer.transform.decode.parse_event", fail)
    found = rejected(video("created"), key=an_id(1).encode())
    assert (found.stage, found.reason, found.aggregate_id) == ("decode", "invalid", UUID(an_id(1)))
    (problem,) = found.detail["problems"]
    assert problem["code"] == "decoder_failed"
    assert "TypeError" in problem["message"]
    assert "personal" not in str(found.detail)


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize(
    ("prefix", "cause"),
    [(b"\0", "schema registry"), (b"\xef\xbb\xbf", "byte order mark"), (b"\xff\xfe", "UTF-16")],
)
def test_what_stands_before_the_json_names_who_put_it_there(prefix: bytes, cause: str, mode: str) -> None:
    attributes = {"ce_specversion": b"1.0", "ce_source": b"/t", "ce_time": b"2026-01-05T10:00:00Z"}
    headers = [*CE_HEADERS, *attributes.items()] if mode == "binary" else []
    rejection = rejected(prefix + video("created"), headers=headers)
    assert rejection.reason == "not_json"
    assert cause in rejection.detail["problems"][0]["message"]


def test_headers_as_over_http_are_named_and_make_no_tombstone_of_a_null_value() -> None:
    headers = [("ce-specversion", b"1.0"), ("ce-type", b"video.created"), ("ce-id", b"1")]
    data = json.dumps(json.loads(video("created"))["data"]).encode()
    rejection = rejected(data, headers=headers)
    assert (rejection.reason, "ce_" in rejection.detail["problems"][0]["message"]) == ("not_an_event", True)
    assert rejected(None, headers=headers, key=KEY).reason == "bad_tombstone"
