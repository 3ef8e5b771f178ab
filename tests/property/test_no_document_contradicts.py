"""The verdict on a change of a schema is never contradicted by a document.

Two schemas, the second mostly a mutation of the first, and documents made from either: whenever it is said that all
that the one lets through passes the other, jsonschema agrees on every document.
"""

import copy
import json
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from reelsync.events.evolution import references
from reelsync.events.evolution.inclusion import differences

Schema = dict[str, Any] | bool
NAMES = ("a", "b", "c")
WORDS = ("", "x", "xy", "abc", "ABC", "0", "a1", "é𝄞", "x\n")
PATTERNS = ("^[a-z]*$", "^[a-z0-9]+$", "x", "^.?$")
NUMBERS = (-1, 0, 1, 2, 3, 4, 6, 2.5, 0.5, 10**20, -0.5, 1.0)

small = st.integers(0, 3)
numbers = st.sampled_from(NUMBERS)
scalars = st.none() | st.booleans() | numbers | st.sampled_from(WORDS)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*NAMES, "d")), inner, max_size=4),
    max_leaves=8,
)


def _keywords(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


def _plain_schemas(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(NAMES)
    kinds = {
        "null": st.just({}),
        "boolean": st.just({}),
        "string": _keywords(minLength=small, maxLength=small, pattern=st.sampled_from(PATTERNS)),
        "integer": _bounds(),
        "number": _bounds(),
        "array": _keywords(
            items=inner,
            minItems=small,
            maxItems=small,
            uniqueItems=st.booleans(),
            prefixItems=st.lists(inner, min_size=1, max_size=2),
        ),
        "object": _keywords(
            properties=st.dictionaries(names, inner, max_size=3),
            required=st.lists(names, unique=True, max_size=2),
            additionalProperties=inner | st.booleans(),
            patternProperties=st.dictionaries(st.sampled_from(["^[ab]$", "d"]), inner, max_size=1),
            minProperties=small,
            maxProperties=small,
        ),
    }
    typed = st.one_of([schema.map(lambda one, kind=kind: {"type": kind} | one) for kind, schema in kinds.items()])
    several = st.lists(st.sampled_from(sorted(kinds)), unique=True, min_size=1, max_size=3)
    untyped = st.tuples(st.one_of(list(kinds.values())), st.one_of(list(kinds.values()))).map(
        lambda two: two[0] | two[1]
    )
    listed = st.lists(documents, min_size=1, max_size=3).map(lambda values: {"enum": values})
    return st.one_of(
        typed,
        st.tuples(several, untyped).map(lambda two: {"type": two[0]} | two[1]),
        untyped,
        listed,
        documents.map(lambda value: {"const": value}),
        st.tuples(typed, listed).map(lambda two: two[0] | two[1]),
    )


def _bounds() -> st.SearchStrategy[dict[str, Any]]:
    keywords = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return _keywords(**dict.fromkeys(keywords, numbers), multipleOf=st.sampled_from([1, 2, 3, 0.5]))


def _schemas(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    choices = st.lists(inner, min_size=1, max_size=3)
    together = st.one_of([choices.map(lambda parts, word=word: {word: parts}) for word in ("anyOf", "allOf", "oneOf")])
    odd = inner.map(lambda part: {"not": part}) | inner.map(lambda part: {"if": part, "then": False})
    plain = _plain_schemas(inner)
    both = st.tuples(plain, together).map(lambda two: two[0] | two[1])
    return st.one_of(*[plain] * 5, together, both, odd)


inner_schemas = st.recursive(st.booleans() | _plain_schemas(st.sampled_from([True])), _schemas, max_leaves=3)
fields = _plain_schemas(st.sampled_from([True, {"type": "string"}]))
records = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["object"]),
        "properties": st.dictionaries(st.sampled_from(NAMES), fields, min_size=1),
        "required": st.lists(st.sampled_from(NAMES), unique=True, max_size=3),
    },
    optional={"additionalProperties": st.booleans() | fields},
)
schemas = st.one_of(records, records, _schemas(inner_schemas))


def _places(schema: Any) -> list[dict[Any, Any] | list[Any]]:
    """Every object and list in a schema: what can be changed."""
    found: list[dict[Any, Any] | list[Any]] = []
    if isinstance(schema, dict | list):
        found.append(schema)
        for part in schema.values() if isinstance(schema, dict) else schema:
            found += _places(part)
    return found


@st.composite
def mutations(draw: st.DrawFn, schema: Schema, *, looser: bool) -> Schema:
    """The schema with a part or two taken away, or put in, or moved: mostly so that it lets more through, or less."""
    changed = copy.deepcopy(schema)
    for _ in range(draw(st.integers(1, 2))):
        places = [place for place in _places(changed) if isinstance(place, dict)]
        if not places:
            return draw(schemas)
        if isinstance(changed, dict) and "required" in changed and draw(st.integers(0, 2)) == 0:
            changed["required"] = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
            continue
        place = draw(st.sampled_from(places))
        if place and looser != (draw(st.integers(0, 4)) == 0):
            name = draw(st.sampled_from(sorted(place)))
            if isinstance(place[name], bool) or not isinstance(place[name], int | float) or draw(st.booleans()):
                del place[name]
            else:
                place[name] += draw(st.sampled_from([-1, 1]))
        else:
            other = draw(schemas)
            names = [name for name in other if name != "type"] if isinstance(other, dict) else []
            place |= {name: other[name] for name in names and draw(st.lists(st.sampled_from(names), max_size=2))}
    return changed


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Schema, Schema]:
    schema = draw(schemas)
    looser = draw(st.booleans())
    changed = draw(mutations(schema, looser=looser).filter(lambda other: other != schema))
    return (schema, changed) if draw(st.booleans()) else (changed, schema)


@st.composite
def instances(draw: st.DrawFn, schema: Any, depth: int = 3) -> Any:
    """A document that mostly passes the schema: at its bounds, with its values, with a field more or less."""
    if not isinstance(schema, dict) or not depth or draw(st.integers(0, 19)) == 0:
        return draw(documents)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word) and draw(st.integers(0, 3)):
            return draw(instances(draw(st.sampled_from(schema[word])), depth))
    if "const" in schema or "enum" in schema:
        return draw(st.sampled_from([*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]))
    kinds = schema.get("type", ["string", "number", "array", "object"])
    kind = kinds if isinstance(kinds, str) else draw(st.sampled_from(kinds))
    return draw(_OF_KIND.get(kind, lambda *_: scalars)(schema, depth - 1))


def _text(schema: dict[str, Any], _depth: int) -> st.SearchStrategy[str]:
    lengths = st.sampled_from([schema.get("minLength", 0), schema.get("maxLength", 4)])
    return st.sampled_from(WORDS) | st.text("xa0", max_size=4) | lengths.map("x".__mul__)


def _number(schema: dict[str, Any], _depth: int) -> st.SearchStrategy[float]:
    keywords = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    near = [schema[name] + step for name in keywords if name in schema for step in (0, 1, -1, 0.5)]
    return st.sampled_from([*near, *NUMBERS, schema.get("multipleOf", 1) * 6])


@st.composite
def _list(draw: st.DrawFn, schema: dict[str, Any], depth: int) -> list[Any]:
    size = draw(st.sampled_from([schema.get("minItems", 0), schema.get("maxItems", 2), 1]))
    heads = [draw(instances(part, depth)) for part in schema.get("prefixItems", [])]
    return (heads + [draw(instances(schema.get("items", True), depth)) for _ in range(size)])[: max(size, 0)]


@st.composite
def _object(draw: st.DrawFn, schema: dict[str, Any], depth: int) -> dict[str, Any]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    names = {*schema.get("required", []), *draw(st.sets(st.sampled_from((*NAMES, "d"))))}
    return {name: draw(instances(known.get(name, others), depth)) for name in sorted(names)}


_OF_KIND: dict[str, Any] = {"string": _text, "integer": _number, "number": _number, "array": _list, "object": _object}


def _is_schema(schema: Any) -> bool:
    return bool(Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema))


@settings(max_examples=2000)
@given(pairs().filter(lambda pair: all(map(_is_schema, pair))), st.data())
def test_no_document_contradicts_an_inclusion(pair: tuple[Schema, Schema], data: st.DataObject) -> None:
    written, read = pair
    if differences(references.plain(written), references.plain(read)):
        event("different")
        return
    event("included")
    writer, reader = Draft202012Validator(written), Draft202012Validator(read)
    for _ in range(8):
        document = data.draw(instances(written) | instances(written) | documents)
        if writer.is_valid(document):
            event("a document was put to both")
            assert reader.is_valid(document), f"{json.dumps(document)} passes {json.dumps(written)} only"


@given(schemas.filter(_is_schema))
def test_nothing_changed_is_no_difference(schema: Schema) -> None:
    assert differences(references.plain(schema), references.plain(copy.deepcopy(schema))) == []
