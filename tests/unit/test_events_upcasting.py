"""Older events become current ones, and what a step between versions may do."""

from typing import Any

import pytest

from reelsync.events import EVENT_DATA, codec, contract, parse_event, wire
from reelsync.events.upcasting import UnknownSchemaError, UpcastError, schema_version, upcast
from tests.support.builders import video
from tests.support.reading_events import DATA, MARK, binary, changed, invalid, paths

STEPS: Any = {"video.created": (lambda data: {**data, "title": data["name"]},)}
OLDER = {name: value for name, value in DATA.items() if name != "title"} | {"name": "old"}
VERSIONS = {number: f"urn:reelsync:video.created:{number}" for number in (1, 2)}


@pytest.fixture
def second_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contract in which video.created has version 2, with the title called by another name in version 1."""
    monkeypatch.setattr(EVENT_DATA["video.created"], "schema_version", 2)
    monkeypatch.setattr(codec, "upcast", lambda data, kind, version: upcast(data, kind, version, STEPS))
    envelope = contract._envelope_of(EVENT_DATA["video.created"])
    attributes = {name: schema for name, schema in wire.schemas_of(envelope).items() if name != "data"}
    whole = attributes | {"data": wire._DATA["video.created"]}
    monkeypatch.setattr(wire, "_ATTRIBUTES", wire._by_type({"video.created": wire.typed_dict(attributes)}))
    monkeypatch.setattr(wire, "_STRUCTURED", wire._by_type({"video.created": wire.typed_dict(whole)}))


@pytest.mark.usefixtures("second_version")
@pytest.mark.parametrize("named", [{"dataschema": VERSIONS[1]}, {}], ids=["named", "version 1 by default"])
def test_an_older_event_becomes_a_current_one_in_both_modes(named: dict[str, str]) -> None:
    value, headers = binary(OLDER, **{f"ce_{name}": text.encode() for name, text in named.items()})
    for event in (parse_event(changed(video("created"), data=OLDER, **named)), parse_event(value, headers)):
        assert (event["data"]["title"], event["dataschema"]) == ("old", VERSIONS[2])


@pytest.mark.usefixtures("second_version")
def test_what_a_step_makes_is_validated() -> None:
    missing = ["data.video_id", "data.user_id", "data.version"]
    assert paths(invalid(*binary({"name": "old"}))) == missing
    assert paths(invalid(changed(video("created"), data={"name": "old"}))) == missing


@pytest.mark.usefixtures("second_version")
def test_data_that_a_step_cannot_take_is_invalid_and_not_shown() -> None:
    for error in (invalid(*binary({"nome": MARK})), invalid(changed(video("created"), data={"nome": MARK}))):
        assert (error.reason, error.problems[0].code, paths(error)) == ("invalid", "upcast_failed", ["data"])
        assert "from schema version 1 to 2: KeyError" in str(error)
        assert MARK not in str(error)


@pytest.mark.parametrize("made", [[], None, pytest.param({"time": object()}, id="an object"), {b"bytes": 1}], ids=str)
def test_a_step_that_gives_no_json_object_is_named(made: Any) -> None:
    with pytest.raises(UpcastError, match="from schema version 2 to 3"):
        upcast({}, "video.created", 1, {"video.created": (lambda _: {}, lambda _: made)})


def test_steps_are_taken_from_the_event_s_version_on() -> None:
    steps: Any = {"video.created": (lambda d: d | {"two": 2}, lambda d: d | {"three": d["two"] + 1})}
    assert upcast({"one": 1}, "video.created", 1, steps) == {"one": 1, "two": 2, "three": 3}
    assert upcast({"two": 2}, "video.created", 2, steps) == {"two": 2, "three": 3}
    assert upcast({"as": "is"}, "video.created", 3, steps) == {"as": "is"}
    assert upcast({"as": "is"}, "video.updated", 1, steps) == {"as": "is"}


def test_no_dataschema_means_version_1() -> None:
    assert schema_version(None, "video.created") == 1
    with pytest.raises(UnknownSchemaError):
        schema_version(1, "video.created")
