"""Record bytes to events: the two modes, what is required, what is ignored, and what an error may say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.events import (
    EVENT_DATA,
    aggregate_id,
    aggregate_of,
    is_binary,
    parse_event,
)
from tests.support.builders import an_id, structured, usage, user, video
from tests.support.reading_events import ATTRIBUTES, JSON_TYPE, MARK, binary, changed, invalid, paths, problem_of

SAMPLES = {
    "video.created": video("created", description="a", language="pt-BR"),
    "video.completed": video("completed"),
    "video.failed": video("failed", error_message="gave up", progress=7),
    "user.created": user("created", avatar_url="https://example.com/a.png", preferences={"theme": "dark"}),
    "user.profile_updated": user("profile_updated", bio="b"),
    "model_usage.recorded": usage(model_type="tts", input_units=3),
}


@pytest.mark.parametrize("event_type", SAMPLES)
def test_both_modes_carry_the_same_event(event_type: str) -> None:
    document = json.loads(SAMPLES[event_type])
    data = document.pop("data")
    value, headers = binary(data, **{f"ce_{name}": text.encode() for name, text in document.items()})
    assert parse_event(value, headers) == parse_event(SAMPLES[event_type])


@pytest.mark.parametrize(
    ("value", "headers", "expected"),
    [
        (b"{}", {}, False),
        (b"{}", JSON_TYPE, False),
        (b"{}", {"traceparent": b"00-1"}, False),
        (b"{}", ATTRIBUTES, True),
        (b"{}", ATTRIBUTES | JSON_TYPE, True),
        (b"{}", {name.upper(): content for name, content in ATTRIBUTES.items()}, True),
        (b'{"specversion":"1.0"}', ATTRIBUTES, False),
        (b'{"specversion":"1.0"}', ATTRIBUTES | JSON_TYPE, True),
        (b"{}", ATTRIBUTES | {"content-type": b"application/cloudevents+json"}, False),
        (b"{}", ATTRIBUTES | {"Content-Type": b"Application/CloudEvents+JSON; charset=UTF-8"}, False),
        (b"{}", ATTRIBUTES | {"content-type": None}, True),
        (None, ATTRIBUTES, True),
        (None, {}, False),
    ],
)
def test_the_content_type_and_then_the_ce_headers_tell_the_mode(
    value: bytes | None, headers: dict[str, bytes | None], expected: bool
) -> None:
    assert is_binary(value, list(headers.items())) is expected


def test_a_whole_event_with_copies_of_its_attributes_in_headers_is_structured() -> None:
    headers = [*ATTRIBUTES.items(), ("content-type", b"application/cloudevents+json")]
    assert parse_event(video("created", 7), headers)["data"]["video_id"] == an_id(7)


@pytest.mark.parametrize(
    "spelling", [str.lower, str.upper, lambda text: text.replace("-", "")], ids=["same", "upper", "bare"]
)
@pytest.mark.parametrize(
    ("value", "own"),
    [(video("created", 1), an_id(1)), (user("created", 1), an_id(1001)), (usage(1), an_id(2001)), (usage(1), an_id(1))],
    ids=["video", "user", "fact by its own id", "fact by its video"],
)
def test_a_subject_is_the_id_of_what_the_event_is_about_in_any_spelling(value: bytes, own: str, spelling: Any) -> None:
    assert parse_event(changed(value, subject=spelling(own)))["subject"] == own


@pytest.mark.parametrize(
    ("value", "other"),
    [(video("created", 1), an_id(1001)), (user("created", 1), an_id(1)), (usage(1), an_id(1001)), (usage(1), an_id(9))],
    ids=["video by its owner", "user by a video", "fact by its user", "fact by another video"],
)
def test_any_other_subject_is_refused(value: bytes, other: str) -> None:
    error = invalid(changed(value, subject=other))
    assert (error.reason, paths(error)) == ("invalid", ["subject"])


def test_a_subject_in_binary_mode_is_held_to_the_same_rule() -> None:
    assert parse_event(*binary(ce_subject=an_id(1).encode()))["subject"] == an_id(1)
    assert paths(invalid(*binary(ce_subject=an_id(2).encode()))) == ["subject"]


def test_a_subject_of_null_is_no_subject() -> None:
    assert parse_event(changed(video("created"), subject=None))["subject"] is None


def test_dataschema_names_the_current_version_or_is_absent() -> None:
    urn = "urn:reelsync:video.created:1"
    assert parse_event(changed(video("created"), dataschema=urn))["dataschema"] == urn
    assert parse_event(video("created"))["dataschema"] is None
    assert parse_event(*binary(ce_dataschema=urn.encode()))["dataschema"] == urn
    assert parse_event(*binary())["dataschema"] is None


@pytest.mark.parametrize(
    "dataschema",
    [
        *("urn:reelsync:video.created:2", "urn:reelsync:video.created:0", "urn:reelsync:video.created:01"),
        *("urn:reelsync:video.created", "urn:reelsync:video.updated:1", "urn:reelsync:video.created:1\n"),
        *("https://example.com/video.created/1", ""),
    ],
    ids=repr,
)
def test_any_other_dataschema_is_unknown(dataschema: str) -> None:
    error = invalid(changed(video("created"), dataschema=dataschema))
    assert (error.reason, paths(error)) == ("unknown_schema", ["dataschema"])
    assert invalid(*binary(ce_dataschema=dataschema.encode())).reason == "unknown_schema"


@pytest.mark.parametrize("junk", [1, None, [1e308], {"data": {}}, "", "\u0000"], ids=ascii)
def test_unknown_attributes_and_unknown_data_fields_are_ignored(junk: Any) -> None:
    plain = parse_event(video("created"))
    assert parse_event(changed(video("created"), extension=junk, Title=junk)) == plain
    assert parse_event(video("created", new_field=junk, Title=junk)) == plain


def test_an_optional_field_left_out_is_null() -> None:
    data = parse_event(video("created"))["data"]
    assert {name for name, value in data.items() if value is None} == {
        *("description", "avatar_id", "voice_id", "language", "resolution")
    }


@pytest.mark.parametrize(
    "kind", ["video.exploded", "Video.created", "", "user.tombstone", "video.erased", 7, ["video.created"]]
)
def test_a_type_that_is_not_in_the_contract_is_unknown(kind: Any) -> None:
    error = invalid(changed(video("created"), type=kind))
    assert (error.reason, paths(error)) == ("unknown_type", ["type"])


@pytest.mark.parametrize("name", ["id", "source", "specversion", "time", "data"])
def test_a_missing_attribute_is_named(name: str) -> None:
    document = json.loads(video("created"))
    del document[name]
    error = invalid(json.dumps(document).encode())
    assert (error.reason, paths(error)) == ("invalid", [name])


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_specversion", "ce_time"])
@pytest.mark.parametrize("content", [..., None], ids=["absent", "null"])
def test_a_missing_attribute_of_binary_mode_is_named_by_its_header(name: str, content: Any) -> None:
    assert paths(invalid(*binary(**{name: content}))) == [name]


def test_an_event_without_a_type_is_not_an_event() -> None:
    document = json.loads(video("created"))
    del document["type"]
    assert invalid(json.dumps(document).encode()).reason == "not_an_event"
    assert invalid(*binary(ce_type=...)).reason == "not_an_event"


@pytest.mark.parametrize("event_type", sorted(EVENT_DATA))
def test_every_required_field_is_missed_by_its_path(event_type: str) -> None:
    required = [name for name, field in EVENT_DATA[event_type].model_fields.items() if field.is_required()]
    assert paths(invalid(structured(event_type, {}))) == [f"data.{name}" for name in required]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b"{", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"a":' * 5_000, "not_json"),
        (b"[]", "not_an_event"),
        (b"null", "not_an_event"),
        (b'"video.created"', "not_an_event"),
        (b"{}", "not_an_event"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_bytes_that_hold_no_event_are_told_apart(value: bytes, reason: str) -> None:
    assert invalid(value).reason == reason


@pytest.mark.parametrize("value", [b"", b"\xff", b"nonsense"])
def test_binary_data_that_is_not_json_is_not_json(value: bytes) -> None:
    assert invalid(value, binary()[1]).reason == "not_json"


@pytest.mark.parametrize(
    "junk",
    [
        ("", b""),
        ("x", None),
        ("traceparent", b"\xff\xfe"),
        ("ce_extension", b"\xff"),
        ("ce_extension", None),
        ("🎬", b""),
    ],
    ids=ascii,
)
def test_headers_that_say_nothing_to_us_are_tolerated(junk: tuple[str, bytes | None]) -> None:
    assert parse_event(video("created"), [junk])["type"] == "video.created"
    value, headers = binary()
    assert parse_event(value, [junk, *headers])["type"] == "video.created"


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_time", "ce_type", "ce_subject", "ce_dataschema"])
def test_an_attribute_that_is_not_utf_8_is_named(name: str) -> None:
    assert paths(invalid(*binary(**{name: b"\xff"}))) == [name]


WRONG = st.sampled_from([MARK, [MARK], {MARK: MARK}, MARK * 2_000, f"{MARK}\x00"])


@given(event_type=st.sampled_from(sorted(SAMPLES)), draw=st.data())
def test_no_value_of_an_event_ever_shows_in_its_error(event_type: str, draw: st.DataObject) -> None:
    document = json.loads(SAMPLES[event_type])
    data = document["data"]
    for place, names in (
        (document, [*document, "subject", "dataschema"]),
        (data, [*EVENT_DATA[event_type].model_fields]),
    ):
        for name in draw.draw(st.sets(st.sampled_from(names), min_size=1)) - {"data", "type"}:
            place[name] = draw.draw(WRONG)
    value = json.dumps(document).encode()
    headers = [(f"ce_{name}", str(content).encode()) for name, content in document.items() if name != "data"]
    for attempt in ((value, ()), (json.dumps(data).encode(), [*headers, *JSON_TYPE.items()])):
        refused = problem_of(*attempt)
        if refused is not None:
            assert MARK not in str(refused) + repr(refused) + repr(refused.problems)
            assert all(problem.path and problem.code and problem.message for problem in refused.problems)


@pytest.mark.parametrize(
    ("value", "about", "own"),
    [
        (video("deleted", 3), "video", an_id(3)),
        (user("deleted", 3), "user", an_id(1003)),
        (usage(3), "model_usage", an_id(2003)),
    ],
    ids=["video", "user", "fact"],
)
def test_an_event_is_about_the_aggregate_of_its_type(value: bytes, about: str, own: str) -> None:
    event = parse_event(value)
    assert (aggregate_of(event), aggregate_id(event)) == (about, own)
