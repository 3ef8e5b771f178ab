"""The files of the contract: they are what the models say, and what they say is what the code does."""

import json
import re
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from reelsync.events import EVENT_DATA, EventType, InvalidEventError, parse_event
from reelsync.events.contract_files import CONTRACT_VERSION, SCHEMA_DIRECTORY, contract_files, released_contracts
from reelsync.events.evolution import compare, read_contract
from reelsync.events.json_schema import SIDES, data_schema, event_schema, example_events
from reelsync.events.tombstones import tombstone
from tests.contract.vectors import Validator
from tests.support.processes import ROOT

TYPES = tuple(EVENT_DATA)
FILES = contract_files()
ASYNCAPI = json.loads(FILES["asyncapi.json"])
RELEASED = released_contracts(ROOT / "events" / "schema")
"""Of the checkout: the wheel has none."""
ASYNCAPI_SCHEMA = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text())


def test_the_files_are_what_the_models_say() -> None:
    kept = {path: (SCHEMA_DIRECTORY / path).read_text(encoding="utf-8") for path in FILES}
    assert kept == FILES, "make schema, and review the diff"


def test_every_version_of_every_type_is_kept_and_nothing_else() -> None:
    expected = {f"{name}.{n}.json" for name, cls in EVENT_DATA.items() for n in range(1, cls.schema_version + 1)}
    for side in SIDES:
        assert {file.name for file in (SCHEMA_DIRECTORY / side).iterdir()} == expected
    kept = {file.name for file in SCHEMA_DIRECTORY.iterdir()} - {"released"}
    assert kept == {*SIDES, "asyncapi.json", "vectors.jsonl"}


def test_the_contract_has_the_version_of_the_package() -> None:
    assert version("reelsync") == CONTRACT_VERSION


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.name)
def test_readers_still_read_whatever_a_released_contract_let_writers_write(release: Path) -> None:
    """The log is replayed from its beginning, so every release counts, not the last alone."""
    results = compare(read_contract(release), read_contract(SCHEMA_DIRECTORY))
    assert len(results) >= len(TYPES)
    assert [result for result in results if not result.satisfies("BACKWARD")] == []


def test_a_release_is_kept() -> None:
    assert RELEASED


@pytest.mark.parametrize("name", TYPES)
def test_schemas_are_closed_for_writers_and_open_for_readers(name: EventType) -> None:
    for side in SIDES:
        schema = json.loads(FILES[f"{side}/{name}.{EVENT_DATA[name].schema_version}.json"])
        Validator.check_schema(schema)
        for example in example_events(name):
            strange = example | {"data": example["data"] | {"tittle": 1}}
            for changed in (strange, example | {"subjekt": "x"}):
                assert Validator(schema).is_valid(changed) == (side == "reader")


@pytest.mark.parametrize("name", TYPES)
def test_examples_are_valid_and_accepted_and_the_last_has_every_field(name: EventType) -> None:
    examples = example_events(name)
    for example in examples:
        for side in SIDES:
            Validator(event_schema(name, side)).validate(example)
        assert parse_event(json.dumps(example).encode())["type"] == name
    fields = set(EVENT_DATA[name].model_fields)
    assert fields == set(examples[-1]["data"]) or name == "video.updated"


# Characters at the edges of what text may hold, among others; a lone surrogate is not UTF-8 at all.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\x00\r\u2028é漢𝄞0Za_-:.")


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    most = schema.get("maxLength", 30)
    any_text = st.text(CHARACTERS, max_size=min(most, 40)) | st.sampled_from([most, most + 1]).map("é".__mul__)
    if "const" in schema:
        return st.just(schema["const"]) | any_text
    matching = st.from_regex(re.compile(schema["pattern"].replace("$", r"\Z"), re.ASCII), fullmatch=True)
    return matching | any_text


def _values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values near what the schema lets through, on both sides of its edges."""
    if "anyOf" in schema:
        return st.one_of([_values(part) for part in schema["anyOf"]])
    scalar = st.none() | st.booleans() | st.integers() | st.text(CHARACTERS, max_size=5)
    found: dict[str, st.SearchStrategy[Any]] = {
        "string": _texts(schema) if {"pattern", "const"} & schema.keys() else scalar,
        "integer": st.sampled_from([schema.get("minimum", 0) - 1, schema.get("minimum", 0), schema.get("maximum", 9)])
        | st.integers(schema.get("minimum", 0), schema.get("maximum", 2**65)),
        "number": st.floats(0, allow_infinity=False, allow_nan=False) | st.integers(-1, 2**70),
        "boolean": st.booleans(),
        "null": st.none(),
        "object": st.dictionaries(
            st.text(CHARACTERS.filter("\x00".__ne__), max_size=5),
            st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(CHARACTERS.filter("\x00".__ne__)),
            max_size=3,
        ),
    }
    return found[schema["type"]] | (scalar if schema["type"] != "object" else st.nothing())


def _accepted(event: dict[str, Any]) -> bool:
    try:
        parse_event(json.dumps(event).encode())
    except InvalidEventError:
        return False
    return True


@pytest.mark.parametrize("name", TYPES)
def test_what_writers_may_send_is_accepted_and_what_is_accepted_readers_may_get(name: EventType) -> None:
    writer, reader = (Validator(event_schema(name, side)) for side in SIDES)
    example = example_events(name)[0]
    seen = {"sent": 0, "accepted": 0, "refused": 0}

    @given(st.one_of([_one_changed(example, side.schema) for side in (writer, reader)]))
    def holds(event: dict[str, Any]) -> None:
        accepted = _accepted(event)
        seen["accepted" if accepted else "refused"] += 1
        if writer.is_valid(event):
            seen["sent"] += 1
            assert accepted
        if accepted:
            reader.validate(event)

    holds()
    assert min(seen.values()) >= 10, seen


def _one_changed(example: dict[str, Any], schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The example with another value in one place: of ten random fields one is always wrong."""
    ids = ("video_id", "user_id", "usage_id")
    without_subject = {name: part for name, part in example.items() if name != "subject"}
    attributes = [name for name in schema["properties"] if name not in {"data", "subject"}]
    fields = schema["properties"]["data"]["properties"]
    return st.one_of(
        [_values(schema["properties"][name]).map(lambda v, n=name: without_subject | {n: v}) for name in attributes]
        + [
            _values(part).map(lambda v, n=name: without_subject | {"data": example["data"] | {n: v}})
            for name, part in fields.items()
        ]
        + [st.sampled_from([example, example | {"data": {**example["data"], ids[1]: example["data"][ids[1]].upper()}}])]
    )


def test_writers_may_send_every_date_from_1971_to_2199_and_no_other() -> None:
    pattern = re.compile(event_schema("user.logged_in", "writer")["properties"]["time"]["pattern"].replace("$", r"\Z"))
    dates = {f"{date(1971, 1, 1) + timedelta(days=day)}" for day in range((date(2200, 1, 1) - date(1971, 1, 1)).days)}
    near = {f"{y}-{m:02}-{d:02}" for y in range(1969, 2202) for m in range(14) for d in range(33)}
    assert {day for day in near if pattern.match(f"{day}T10:00:00Z")} == dates


def test_the_asyncapi_document_is_one() -> None:
    Draft7Validator(ASYNCAPI_SCHEMA).validate(ASYNCAPI)


@pytest.mark.parametrize(
    "broken",
    [
        {"asyncapi": "2.6.0"},
        {"channels": {"video-events": {"adress": "video-events"}}},
        {"operations": {"consume": {"action": "subscribe", "channel": {"$ref": "#/channels/video-events"}}}},
    ],
    ids=["version", "channel", "operation"],
)
def test_the_schema_of_asyncapi_notices_what_is_wrong(broken: dict[str, Any]) -> None:
    assert not Draft7Validator(ASYNCAPI_SCHEMA).is_valid(ASYNCAPI | broken)


def _at(reference: str) -> Any:
    place: Any = ASYNCAPI
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def _resolved(part: Any) -> Any:
    if isinstance(part, dict):
        return _resolved(_at(part["$ref"])) if "$ref" in part else {name: _resolved(one) for name, one in part.items()}
    return [_resolved(one) for one in part] if isinstance(part, list) else part


def test_every_message_is_on_its_aggregate_s_topic_and_in_both_modes() -> None:
    for aggregate, topic in (("user", "user-events"), ("video", "video-events"), ("model_usage", "model-usage-events")):
        names = {f"{name}.{mode}" for name in TYPES if EVENT_DATA[name].aggregate == aggregate for mode in MODES}
        tombstones = {f"{aggregate}.tombstone"} & {"user.tombstone", "video.tombstone"}
        assert set(ASYNCAPI["channels"][topic]["messages"]) == names | tombstones
        assert len(_resolved(ASYNCAPI["operations"][f"consume-{topic}"]["messages"])) == len(names | tombstones)


MODES = ("structured", "binary")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TYPES)
def test_examples_of_messages_are_events(name: EventType, mode: str) -> None:
    message = _resolved(ASYNCAPI["components"]["messages"][f"{name}.{mode}"])
    key = message["bindings"]["kafka"]["key"]
    for example in message["examples"]:
        headers = example.get("headers", {})
        Draft7Validator(message["headers"]).validate(headers)
        Draft7Validator(message["payload"]).validate(example["payload"])
        pairs = [(header, content.encode()) for header, content in headers.items()]
        event = parse_event(json.dumps(example["payload"]).encode(), pairs)
        assert event["type"] == name
        Validator(key).validate(event["subject"])


@pytest.mark.parametrize("aggregate", ["user", "video"])
def test_the_tombstone_s_key_is_one(aggregate: str) -> None:
    message = _resolved(ASYNCAPI["components"]["messages"][f"{aggregate}.tombstone"])
    assert message["payload"] == {"type": "null"}
    key = example_events(cast("EventType", f"{aggregate}.deleted"))[0]["subject"]
    Validator(message["bindings"]["kafka"]["key"]).validate(key)
    assert tombstone(cast("Any", aggregate), key.encode(), 0).aggregate_id == key


@pytest.mark.parametrize("name", TYPES)
def test_units_and_meanings_reach_the_schema(name: EventType) -> None:
    assert data_schema(name, "writer")["description"] == EVENT_DATA[name].__doc__


def test_docstrings_of_fields_reach_the_schema() -> None:
    fields = data_schema("video.completed", "writer")["properties"]
    assert fields["file_size"]["description"] == "Bytes."
    assert fields["user_id"]["description"] == "The owner as of this version."
