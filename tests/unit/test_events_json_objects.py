"""JSON objects of events: what a column of jsonb can keep is kept, and all else is refused at any depth and size."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from reelsync.events import json_objects
from reelsync.events.json_objects import MAX_JSON_BYTES, MAX_JSON_DEPTH, JsonObject
from tests.support.validating import from_json, refused

JSON_FRAME = len('{"s":""}')


def nested(levels: int) -> str:
    """An object `levels` deep."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"": ""},
        {"n": 2**80, "m": -(2**80)},
        {"n": 10**308},
        {"n": 1.7976931348623157e308},
        {"text": "\\u0000 is six characters"},
        {"🎬": ["é", None, True, 1.5, {"deep": [[]]}]},
        {"digits": "1" * 400},
        {"text": '\\"' + "1" * 400, "n": 10**308},
        {"backslashes": "\\" * 7 + "u0000"},
        {"brackets": "[{" * 100},
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_json_object_that_jsonb_can_keep_is_kept_as_it_is(value: dict[str, Any]) -> None:
    assert from_json(JsonObject, json.dumps(value)) == value


WRAPPINGS = ['{"a":%s}', '{"a":[%s]}', '{"a":{"b":[{"c":%s}]}}', '{"a":"fine","b":[1,[2,[3,%s]]]}']


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    ("literal", "code"),
    [
        ('"\\u0000"', "json_text"),
        ('{"\\u0000":1}', "json_text"),
        ('{"k\\u0000":{}}', "json_text"),
        ('"\\ud800"', "json_invalid"),
        ('{"\\udfff":1}', "json_invalid"),
        ("1e999", "json_number"),
        ("-1e999", "json_number"),
        ("NaN", "json_number"),
        ("Infinity", "json_number"),
        ("1" + "0" * 309, "json_number"),
        ("-1" + "0" * 309, "json_number"),
    ],
    ids=lambda value: value[:14],
)
def test_what_jsonb_would_refuse_is_refused_at_any_depth(wrapping: str, literal: str, code: str) -> None:
    assert refused(JsonObject, wrapping % literal) == code


def test_a_json_object_may_be_64_levels_deep() -> None:
    assert from_json(JsonObject, nested(MAX_JSON_DEPTH)) == json.loads(nested(MAX_JSON_DEPTH))
    assert refused(JsonObject, nested(MAX_JSON_DEPTH + 1)) == "json_depth"
    assert refused(JsonObject, '{"a":' + "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH + "}") == "json_depth"


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_a_python_value_however_deep_is_refused_and_overflows_nothing(depth: int) -> None:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    with pytest.raises(ValidationError, match="deeper than 64 levels"):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("character", ["x", "é", "🎬"], ids=ascii)
def test_a_json_object_may_be_64_kib_long_in_utf_8(character: str) -> None:
    count, rest = divmod(MAX_JSON_BYTES - JSON_FRAME, len(character.encode()))
    longest = character * count + "x" * rest
    assert from_json(JsonObject, json.dumps({"s": longest})) == {"s": longest}
    assert refused(JsonObject, json.dumps({"s": longest + "x"})) == "json_size"


@pytest.mark.parametrize(
    "many", ["[]," * 160_000 + "1e999", "[]," * 160_000 + '"\\u0000"', "[" * 60 + "0," * 99_999 + "0" + "]" * 60]
)
def test_what_is_too_long_is_not_walked(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(json_objects, "_levels", walked)
    assert refused(JsonObject, f'{{"a":[{many}]}}') in {"json_size", "json_number"}


@pytest.mark.parametrize("value", [{"a": [[]] * 160_000}, {"a": [{}] * 160_000}, {str(n): 0 for n in range(160_000)}])
def test_a_python_value_with_more_parts_than_it_has_bytes_for_is_looked_at_no_further(value: dict[str, Any]) -> None:
    levels = json_objects._levels(value)
    with pytest.raises(PydanticCustomError, match="65,536 bytes"):
        deque(levels, maxlen=0)
    with pytest.raises(ValidationError, match="65,536 bytes"):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("value", [{"a": [1] * 32_764}, {"a": [[]] * 21_843}])
def test_the_longest_object_may_have_as_many_parts_as_fit(value: dict[str, Any]) -> None:
    assert MAX_JSON_BYTES - 10 <= len(json.dumps(value, separators=(",", ":"))) <= MAX_JSON_BYTES
    assert TypeAdapter(JsonObject).validate_python(value) == value
    assert from_json(JsonObject, json.dumps(value)) == value


@pytest.mark.parametrize("literal", ["[]", "null", '"{}"', "1", "true"])
def test_only_an_object_is_a_json_object(literal: str) -> None:
    assert refused(JsonObject, literal) == "dict_type"


@pytest.mark.parametrize(
    "value",
    [{"a": float("nan")}, {"a": "\ud800"}, {"\ud800": 1}, {"a": object()}, {"a": datetime.now(UTC)}, {1: 2}],
    ids=["nan", "surrogate", "surrogate key", "object", "datetime", "key that is not text"],
)
def test_a_python_value_that_json_lacks_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("value", [{"a": (1, 2)}, {"a": [(1,)]}, {"a": {1: 2}}, {"a": [{None: 1}]}], ids=repr)
def test_a_python_value_that_the_encoder_would_turn_into_json_is_refused_at_any_depth(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(JsonObject).validate_python(value)
    assert caught.value.errors()[0]["type"] == "json_type"
