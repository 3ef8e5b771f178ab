"""The fast form and the models are one contract: both accept the same bytes, and read the same from them."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, field_validator, model_validator
from sqlalchemy import String
from sqlalchemy import inspect as mapping_of

from reelsync.events import ENVELOPES, EVENT, EVENT_DATA, EventData, wire
from reelsync.events.contract import CloudEvent, check_subject
from reelsync.events.upcasting import UPCASTS
from reelsync.models import Base, ModelUsage, User, UserProfile, Video
from tests.support.builders import an_id

TYPES = sorted(EVENT_DATA)
TEXT = st.text(max_size=20).filter(lambda text: "\x00" not in text)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("video_id", "user_id", "usage_id"), st.integers(0, 9).map(an_id)),
    "version": st.integers(1, 2**62 - 1),
    "username": st.from_regex("[a-zA-Z0-9_]{3,50}", fullmatch=True),
    "email": TEXT.filter(bool),
    "is_active": st.booleans(),
    "preferences": st.dictionaries(TEXT, st.recursive(TEXT | st.integers() | st.none(), st.lists), max_size=3),
    "progress": st.integers(0, 100),
    **dict.fromkeys(("file_size", "input_units", "output_units"), st.integers(0, 2**63 - 1)),
    **dict.fromkeys(("duration_seconds", "processing_time"), st.floats(0, 1e300) | st.integers(0, 2**70)),
    "cost_usd": st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,6})?", fullmatch=True),
}
TIMES = st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
WRONG = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1.0, 1.5, 101, 2**62, 2**63, 2**64, float("nan"), float("inf"), 10**400),
        *("", "\x00", "\ud800", "7", "x" * 6_000, "1767225600", "2026-01-05", "1e3", "0.1234567", "video.created"),
        *([], {}, ["x"], {"a": "\x00"}, {"a": {"b": [float("nan")]}}, {"a": "x" * 70_000}),
        *(f"urn:uuid:{an_id(1)}", an_id(1).upper(), an_id(1).replace("-", ""), f"{an_id(1)}\n"),
    ]
)


@st.composite
def documents(draw: st.DrawFn, event_type: str) -> dict[str, Any]:
    """A valid event of this type; optional fields there, null or absent, and fields of a newer producer among them."""
    data: dict[str, Any] = {}
    for name, field in EVENT_DATA[event_type].model_fields.items():
        if field.is_required() or draw(st.booleans()):
            data[name] = draw(FIELDS.get(name, TEXT))
        elif field.default is None and draw(st.booleans()):
            data[name] = None
    document = {
        "specversion": "1.0",
        "id": draw(TEXT.filter(bool)),
        "source": "/tests",
        "type": event_type,
        "time": f"{draw(st.integers(2010, 2099))}-01-05T10:00:00.{draw(st.integers(0, 10**9))}"
        f"+0{draw(st.integers(0, 9))}:30",
        "data": data | draw(st.dictionaries(TEXT.map("new {}".format), st.integers(), max_size=2)),
    }
    return document | draw(
        st.sampled_from(
            [
                {},
                {"traceparent": "00-1"},
                {"dataschema": f"urn:reelsync:{event_type}:1"},
                {"subject": data.get("usage_id") or data.get("video_id") or data["user_id"]},
            ]
        )
    )


@st.composite
def mutated(draw: st.DrawFn, event_type: str) -> dict[str, Any]:
    """An event of this type with up to three things changed; some stay valid."""
    document = draw(documents(event_type))
    for _ in range(draw(st.integers(1, 3))):
        place = document["data"] if isinstance(document.get("data"), dict) and draw(st.booleans()) else document
        name = draw(st.sampled_from([*sorted(place.keys()), "subject", "dataschema", "version"]))
        if draw(st.booleans()):
            place[name] = deepcopy(draw(WRONG | TIMES))
        else:
            place.pop(name, None)
    return document


def complete(event_type: str) -> str:
    """A valid event of this type that leaves no field out."""
    values: dict[str, Any] = {
        **dict.fromkeys(("video_id", "user_id", "usage_id"), an_id(1)),
        **dict.fromkeys(("version", "progress", "file_size", "input_units", "output_units"), 5),
        **dict.fromkeys(("duration_seconds", "processing_time"), 1.5),
        "is_active": True,
        "preferences": {},
        "cost_usd": "0.5",
    }
    data = {name: values.get(name, "text") for name in EVENT_DATA[event_type].model_fields}
    event = {"specversion": "1.0", "id": "1", "source": "/tests", "type": event_type, "time": "2026-01-05T10:00:00Z"}
    return json.dumps(event | {"data": data})


def fast(value: bytes) -> Any:
    """What the fast form reads, with the one rule that it leaves to whoever parses."""
    try:
        event = wire.validate_structured(value)
        check_subject(event["subject"], event["data"])
    except ValueError:
        return None
    return event


def slow(value: bytes) -> Any:
    try:
        return EVENT.validate_json(value).model_dump()
    except ValidationError:
        return None


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=50)
@given(data=st.data())
def test_both_forms_accept_a_valid_event_and_read_the_same(event_type: str, data: st.DataObject) -> None:
    value = json.dumps(data.draw(documents(event_type))).encode()
    event = fast(value)
    assert event is not None
    assert event == slow(value)
    assert event["data"].keys() == EVENT_DATA[event_type].model_fields.keys()
    assert event == fast(EVENT.validate_json(value).model_dump_json().encode())


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=50)
@given(data=st.data())
def test_both_forms_refuse_the_same_events(event_type: str, data: st.DataObject) -> None:
    value = json.dumps(data.draw(mutated(event_type))).encode()
    assert fast(value) == slow(value)


@pytest.mark.parametrize("value", [0, 1, 1.0, "1", "true", "on", "2026-01-05", [["a", 1]]], ids=repr)
@pytest.mark.parametrize("event_type", TYPES)
def test_both_forms_are_as_strict_about_a_field(event_type: str, value: Any) -> None:
    valid = json.loads(complete(event_type))
    for name in valid["data"]:
        changed = json.dumps(valid | {"data": valid["data"] | {name: value}}).encode()
        assert fast(changed) == slow(changed), name


@given(value=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_both_forms_refuse_what_is_no_event(value: bytes) -> None:
    assert (fast(value), slow(value)) == (None, None)


def test_every_type_has_a_model_an_envelope_and_a_fast_form() -> None:
    assert set(wire._DATA_BY_TYPE) == set(ENVELOPES) == set(EVENT_DATA)
    for event_type, model in EVENT_DATA.items():
        assert set(wire.schemas_of(model)) == set(model.model_fields)
        assert set(wire.schemas_of(ENVELOPES[event_type])) == set(CloudEvent.model_fields)


def test_a_rule_on_a_field_of_a_model_is_in_the_fast_form_too() -> None:
    class Ruled(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def refuse(cls, _name: str) -> str:
            raise AssertionError

    assert wire.schemas_of(Ruled)["name"]["type"] == "function-after"


def test_a_rule_on_a_whole_model_has_no_fast_form() -> None:
    class Ruled(BaseModel):
        name: str

        @model_validator(mode="after")
        def refuse(self) -> Any:
            raise AssertionError

    with pytest.raises(TypeError, match="no dict form"):
        wire.schemas_of(Ruled)


def test_the_models_of_the_contract_have_no_rules_but_those_of_their_fields() -> None:
    for model in EVENT_DATA.values():
        decorators = model.__pydantic_decorators__
        assert not decorators.model_validators
        assert not decorators.root_validators
        assert issubclass(model, EventData)


def test_every_older_schema_version_has_its_step() -> None:
    assert {name: len(steps) for name, steps in UPCASTS.items() if steps} == {
        name: model.schema_version - 1 for name, model in EVENT_DATA.items() if model.schema_version > 1
    }


def longest_by_field(event_type: str) -> dict[str, int]:
    schema = EVENT_DATA[event_type].model_json_schema()["properties"]
    options = {name: field.get("anyOf", [field]) for name, field in schema.items()}
    return {name: o["maxLength"] for name, each in options.items() for o in each if "maxLength" in o}


@pytest.mark.parametrize("event_type", TYPES)
def test_every_text_field_has_the_bound_of_its_column(event_type: str) -> None:
    table: dict[str, tuple[type[Base], ...]] = {
        "video": (Video,),
        "user": (User, UserProfile),
        "model_usage": (ModelUsage,),
    }
    columns = {
        column.name: column.type.length
        for model in table[event_type.partition(".")[0]]
        for column in mapping_of(model).local_table.columns
        if type(column.type) is String
    }
    found = longest_by_field(event_type)
    assert {name: columns[name] for name in found} == found
    texts = {name for name in EVENT_DATA[event_type].model_fields if name in columns}
    assert texts == set(found)


@pytest.mark.parametrize(
    ("event_type", "bounds"),
    [
        ("video.created", {"title": 200, "description": 5000, "language": 35, "resolution": 20}),
        ("video.completed", {"output_url": 2000, "thumbnail_url": 2000}),
        ("video.failed", {"error_code": 100, "error_message": 2000}),
        ("user.created", {"username": 50, "email": 100, "avatar_url": 500}),
        ("model_usage.recorded", {"model_name": 100}),
    ],
)
def test_the_bounds_are_those_of_the_contract(event_type: str, bounds: dict[str, int]) -> None:
    assert longest_by_field(event_type).items() >= bounds.items()
