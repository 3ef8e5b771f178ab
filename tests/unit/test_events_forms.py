"""The fast form and the models are one contract: they accept the same, and understand it the same."""

import json
from typing import Any

import pytest
from builders import an_id
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import String

from events import ENVELOPES, EVENT, EVENT_DATA, CloudEvent, EventData, InvalidEventError, parse_event
from events.upcasting import UPCASTS
from events.wire import _fields_of
from models import ModelUsage, User, UserProfile, Video

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "version": st.integers(1, 2**62 - 1),
    "progress": st.integers(0, 100),
    "is_active": st.booleans(),
    "preferences": st.dictionaries(st.text(max_size=5).filter(lambda t: "\x00" not in t), st.integers(), max_size=3),
    "username": st.from_regex("[a-zA-Z0-9_]{3,50}", fullmatch=True),
    "cost_usd": st.from_regex(r"[0-9]{1,6}\.[0-9]{1,6}", fullmatch=True),
    "file_size": st.integers(0, 2**63 - 1),
    "input_units": st.integers(0, 2**63 - 1),
    "output_units": st.integers(0, 2**63 - 1),
    "duration_seconds": st.floats(0, 1e9),
    "processing_time": st.floats(0, 1e9),
}
WRONG = st.sampled_from([None, "", "\x00", -1, 2**63, 1.5, True, [], {}, "x" * 6000, "1767225600"])


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly valid events of any type; sometimes with one thing wrong."""
    event_type = draw(st.sampled_from(sorted(EVENT_DATA)))
    data: dict[str, Any] = {}
    for name, field in EVENT_DATA[event_type].model_fields.items():
        if field.is_required() or draw(st.booleans()):
            identifier = name.endswith("_id") and name not in {"avatar_id", "voice_id"}
            data[name] = an_id(draw(st.integers(0, 9))) if identifier else draw(FIELDS.get(name, st.just("text")))
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": event_type, "time": "2026-01-05T10:00:00Z"}
    document: dict[str, Any] = event | {"data": data}
    if draw(st.booleans()):
        place = draw(st.sampled_from([document, data]))
        name = draw(st.sampled_from(sorted(place)))
        if draw(st.booleans()):
            place[name] = draw(WRONG)
        else:
            del place[name]
    return document


@given(events())
def test_both_forms_accept_the_same_and_understand_it_the_same(document: dict[str, Any]) -> None:
    value = json.dumps(document).encode()
    try:
        fast: Any = parse_event(value)
    except InvalidEventError:
        fast = None
    try:
        model: CloudEvent | None = EVENT.validate_json(value)
    except ValidationError:
        model = None
    assert (fast is None) == (model is None)
    if fast is not None and model is not None:
        assert fast == model.model_dump()


def test_a_model_with_rules_beyond_its_fields_has_no_dict_form() -> None:
    class Ruled(EventData):
        type = "video.ruled"

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            return {
                "type": "function-after",
                "function": {"type": "no-info", "function": id},
                "schema": handler(source),
            }

    with pytest.raises(TypeError, match="no dict form"):
        _fields_of(Ruled)


def test_every_older_schema_version_has_its_step() -> None:
    assert {name: cls.schema_version - 1 for name, cls in EVENT_DATA.items() if cls.schema_version > 1} == {
        name: len(steps) for name, steps in UPCASTS.items()
    }
    assert set(ENVELOPES) == set(EVENT_DATA)


@pytest.mark.parametrize("event_type", sorted(EVENT_DATA))
def test_no_text_of_an_event_is_longer_than_its_column(event_type: str) -> None:
    columns = {
        column.name: column.type.length
        for model in (User, UserProfile, Video, ModelUsage)
        for column in model.__table__.columns
        if isinstance(column.type, String)
    }
    schema = EVENT_DATA[event_type].model_json_schema()["properties"]  # type: ignore[index]
    for name, field in schema.items():
        longest = [option["maxLength"] for option in field.get("anyOf", [field]) if "maxLength" in option]
        if name in columns and longest:
            assert longest[0] <= columns[name], name
