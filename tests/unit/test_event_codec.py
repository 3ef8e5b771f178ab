"""Record bytes to events: modes, attributes, upcasting, and problems that name the field and never its value."""

import json
from typing import Any

import pytest
from builders import an_id, structured, usage, user, video

from events import InvalidEventError, aggregate_id, is_binary, parse_event
from events.upcasting import UnknownSchemaError, schema_version, upcast

MARK = "canary-7c1e"
DATA = json.loads(video("created"))["data"]
ATTRIBUTES = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/x"),
    ("ce_type", b"video.created"),
    ("ce_time", b"2026-01-05T10:00:00Z"),
)
JSON_CONTENT = (("content-type", b"application/json"),)


def invalid(value: bytes, headers: Any = ()) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(value, headers)
    return caught.value


def changed(value: bytes, **attributes: Any) -> bytes:
    return json.dumps(json.loads(value) | attributes).encode()


def test_binary_mode_says_the_same_as_structured_mode() -> None:
    binary = parse_event(json.dumps(DATA).encode(), ATTRIBUTES + JSON_CONTENT)
    same = parse_event(structured("video.created", DATA, id="1", source="/x", time="2026-01-05T10:00:00Z"))
    assert binary == same


@pytest.mark.parametrize(
    ("value", "headers", "binary"),
    [
        (b"{}", (), False),
        (b"{}", JSON_CONTENT, False),
        (b"{}", ATTRIBUTES + JSON_CONTENT, True),
        (b"{}", ATTRIBUTES, True),
        (b'{"specversion": "1.0"}', ATTRIBUTES, False),
        (b"{}", (*ATTRIBUTES, ("Content-Type", b"Application/CloudEvents+json; charset=UTF-8")), False),
        (None, ATTRIBUTES, True),
        (None, (("x", None),), False),
    ],
)
def test_the_headers_tell_the_mode(value: bytes | None, headers: Any, binary: bool) -> None:
    assert is_binary(value, headers) is binary


def test_unknown_attributes_fields_and_headers_are_ignored() -> None:
    value = changed(video("created", new_field={"x": 1}), traceparent="00-…")
    event = parse_event(value, (("traceparent", b"\xff"), ("null", None)))
    assert "new_field" not in event["data"]


@pytest.mark.parametrize("subject", [an_id(1), an_id(1).upper(), an_id(1).replace("-", "")])
def test_the_subject_may_spell_the_id_in_any_form(subject: str) -> None:
    assert parse_event(changed(video("created", 1), subject=subject))["subject"] == an_id(1)


@pytest.mark.parametrize(("subject", "fits"), [(an_id(2001), True), (an_id(1), True), (an_id(1001), False)])
def test_the_subject_of_a_fact_is_its_own_id_or_its_videos(subject: str, fits: bool) -> None:
    value = changed(usage(1, of_video=1, owner=1), subject=subject)
    if fits:
        assert aggregate_id(parse_event(value)) == an_id(2001)
    else:
        assert invalid(value).problems[0].path == "subject"


@pytest.mark.parametrize(
    ("value", "reason", "path"),
    [
        (b"\xff", "not_json", ""),
        (b"", "not_json", ""),
        (b"[]", "not_an_event", ""),
        (b"{}", "not_an_event", "type"),
        (changed(video("created"), type="video.exploded"), "unknown_type", "type"),
        (changed(video("created"), dataschema="urn:reelsync:video.created:2"), "unknown_schema", "dataschema"),
        (changed(video("created"), dataschema="https://example.com/schema"), "unknown_schema", "dataschema"),
        (changed(video("created"), specversion="0.3"), "invalid", "specversion"),
        (changed(video("created"), id=""), "invalid", "id"),
        (changed(video("created"), time="yesterday"), "invalid", "time"),
        (changed(video("created"), data=None), "invalid", "data"),
        (changed(video("created"), subject=an_id(9)), "invalid", "subject"),
        (video("created", title="x" * 201), "invalid", "data.title"),
        (user("created", preferences={"a": "\x00"}), "invalid", "data.preferences"),
    ],
)
def test_what_is_wrong_is_named_by_reason_and_path(value: bytes, reason: str, path: str) -> None:
    error = invalid(value)
    assert (error.reason, [problem.path for problem in error.problems]) == (reason, [path])


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "ce_specversion", "ce_time"])
def test_a_missing_attribute_of_binary_mode_is_named(name: str) -> None:
    headers = [pair for pair in (*ATTRIBUTES, *JSON_CONTENT) if pair[0] != name]
    assert [problem.path for problem in invalid(json.dumps(DATA).encode(), headers).problems] == [name]


def test_an_attribute_that_is_not_utf_8_is_named() -> None:
    headers = [(name, b"\xff" if name == "ce_id" else content) for name, content in (*ATTRIBUTES, *JSON_CONTENT)]
    assert invalid(json.dumps(DATA).encode(), headers).problems[0].path == "ce_id"


@pytest.mark.parametrize("field", ["id", "source", "time", "specversion", "type", "subject", "dataschema"])
def test_no_value_of_an_attribute_shows_in_the_error(field: str) -> None:
    error = invalid(changed(video("created"), **{field: [MARK]}))
    assert MARK not in str(error) + repr(error.problems)


@pytest.mark.parametrize("field", ["video_id", "user_id", "version", "title", "description"])
def test_no_value_of_the_data_shows_in_the_error(field: str) -> None:
    error = invalid(changed(video("created"), data=DATA | {field: [MARK]}))
    assert MARK not in str(error) + repr(error.problems)


def test_data_of_an_older_schema_is_brought_up_step_by_step() -> None:
    steps = {"video.created": (lambda d: d | {"two": 2}, lambda d: d | {"three": d["two"] + 1})}
    assert upcast({"one": 1}, "video.created", 1, steps) == {"one": 1, "two": 2, "three": 3}
    assert upcast({"two": 2}, "video.created", 2, steps) == {"two": 2, "three": 3}
    assert upcast({"as": "it is"}, "video.created", 3, steps) == {"as": "it is"}


def test_no_dataschema_means_version_1() -> None:
    assert schema_version(None, "video.created") == 1
    with pytest.raises(UnknownSchemaError):
        schema_version("urn:reelsync:user.created:1", "video.created")
