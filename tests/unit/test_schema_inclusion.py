"""Where inclusion would be easy to get wrong: each pair has a document that the first schema lets through alone."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reelsync.events.evolution.inclusion import differences
from reelsync.events.evolution.references import plain

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
CONTRADICTED: dict[str, tuple[Any, Any, Any]] = {
    "nothing is said of fields": ({"type": "object"}, {"type": "object", "required": ["a"]}, {}),
    "patterns take fields from the others": (
        {"patternProperties": {"^a": True}, "additionalProperties": False},
        {"additionalProperties": False},
        {"a": 1},
    ),
    "patterns take fields from those that are read": (
        {"patternProperties": {"^a": True}, "additionalProperties": TEXT},
        {"properties": {"a": TEXT}},
        {"a": 1},
    ),
    "heads take items from the others": ({"prefixItems": [True], "items": TEXT}, {"items": TEXT}, [1]),
    "an open field may be anything": ({"type": "object"}, {"type": "object", "properties": {"a": TEXT}}, {"a": 1}),
    "others are restricted": ({"properties": {"a": TEXT}}, {"additionalProperties": TEXT}, {"b": 1}),
    "a bound is left out": ({"minimum": 1}, {"exclusiveMinimum": 1}, 1),
    "an upper bound is left out": ({"maximum": 1}, {"exclusiveMaximum": 1}, 1),
    "two of one": ({"type": "integer"}, {"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 1),
    "a number that is not whole": (NUMBER, {"type": "integer"}, 0.5),
    "no type is every type": ({"maxLength": 3}, TEXT, 1),
    "true is not 1": ({"const": True}, {"const": 1}, True),
    "a list with true in it is not one with 1": ({"enum": [[True]]}, {"enum": [[1]]}, [True]),
    "an object listed has other fields": ({"const": {"a": 1}}, {"additionalProperties": False}, {"a": 1}),
    "a multiple of a fraction": ({"multipleOf": 0.5}, {"multipleOf": 1}, 0.5),
    "the other way of two": ({"anyOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, NUMBER]}, None),
    "what is beside a choice": ({"anyOf": [TEXT]}, {"anyOf": [TEXT], "maxLength": 1}, "ab"),
    "one of several demands": ({"type": "string"}, {"allOf": [TEXT, {"minLength": 1}]}, ""),
    "a condition": (True, {"if": TEXT, "then": {"minLength": 1}}, ""),
    "what must not be": (True, {"not": TEXT}, ""),
    "no keys of that name": ({"type": "object"}, {"propertyNames": {"maxLength": 1}}, {"ab": 1}),
    "patterns read": ({"type": "object"}, {"patternProperties": {"^a": TEXT}}, {"a": 1}),
    "a value that the pattern refuses": ({"const": "ab"}, {"type": "string", "pattern": "^b"}, "ab"),
    "items twice": ({"type": "array"}, {"type": "array", "uniqueItems": True}, [1, 1]),
    "too many fields": ({"type": "object"}, {"maxProperties": 1}, {"a": 1, "b": 1}),
    "one name, two definitions": (
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"properties": {"b": {"$ref": "#/$defs/x"}}}}},
        {
            "properties": {"a": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {"maxProperties": 0, "properties": {"b": {"$ref": "#/$defs/x"}}}},
        },
        {"a": {"c": 1}},
    ),
}
EXAMPLES_INCLUDED: dict[str, tuple[Any, Any]] = {
    "bounds written otherwise": (
        {"type": "integer", "minimum": 1, "maximum": 5},
        {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 6},
    ),
    "a type among more": ({"type": "integer"}, {"type": ["number", "null"]}),
    "types as a choice": ({"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}]}),
    "a choice as types": ({"anyOf": [TEXT, {"type": "null"}]}, {"type": ["string", "null"]}),
    "types that exclude each other": ({"type": "null"}, {"oneOf": [TEXT, {"type": "null"}]}),
    "a value for its type": ({"const": "ab"}, {"type": "string", "maxLength": 2, "pattern": "^a"}),
    "values for more values": ({"enum": [1, 2]}, {"enum": [3, 2.0, 1]}),
    "a demand more": ({"allOf": [TEXT, {"maxLength": 3}]}, TEXT),
    "a keyword that is not known, in what is written": ({"type": "string", "not": {"const": ""}}, TEXT),
    "a field that nobody wrote": ({"additionalProperties": False}, {"properties": {"a": TEXT}}),
    "annotations": ({"type": "string", "description": "a"}, {"type": "string", "title": "b", "x-owner": "c"}),
}


@pytest.mark.parametrize("case", CONTRADICTED)
def test_a_pair_with_a_document_between_them_is_different(case: str) -> None:
    written, read, document = CONTRADICTED[case]
    assert Draft202012Validator(written).is_valid(document)
    assert not Draft202012Validator(read).is_valid(document)
    assert differences(plain(written), plain(read)) != []


@pytest.mark.parametrize("case", EXAMPLES_INCLUDED)
def test_what_can_be_decided_is(case: str) -> None:
    written, read = EXAMPLES_INCLUDED[case]
    assert differences(plain(written), plain(read)) == []
