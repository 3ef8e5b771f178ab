"""Values that the contract's JSON Schemas speak of: literals at the edges of every bound, and values that conform."""

import json
import re
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from reelsync.events.json_objects import JsonObject

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x00")
EDGE_TIMES = (
    *("1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1969-12-31T00:01:00-23:59", "1970-01-01T15:59:59+16:00"),
    *(
        "1970-01-01T16:00:00+16:00",
        "2200-01-01T00:00:00Z",
        "2200-01-01T00:00:00.0000009Z",
        "2200-01-01T00:00:00.000001Z",
    ),
    *("2199-12-31T08:00:00-16:00", "2200-01-01T16:00:00+16:00", "2199-12-31T23:59:59.999999-00:01"),
    *(
        f"2026-01-06T02:01:00{offset}"
        for offset in ("+15:59", "+16:00", "-16:00", "+23:59", "-23:59", "+24:00", "-00:00")
    ),
    *("2026-06-30T23:59:60Z", "2026-06-30T23:59:59.9999999Z", "2024-02-29T00:00:00z", "2026-02-29T00:00:00Z"),
    *("2100-02-29T00:00:00Z", "2026-01-06 02:01:00Z", "2026-01-06T24:00:00Z", "2026-01-06T02:01:00"),
)
EDGE_NUMBERS = (
    *("0", "-0.0", "-0", "1e-400", "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "1e308", "1e309"),
    *("-1e-400", "-5e-324", str(2**53 + 1), str(2**63), str(10**308), str(10**309), "1e+2", "0.1", "NaN", "true"),
)
_EDGE_OBJECTS = (
    *("{}", '{"":""}', '{"a":1,"a":{"b":[2,2]}}', '{"a":"\\u0000"}', '{"\\u0000":1}', '{"a":"\\ud83c\\udfac\\uffff"}'),
    *(
        '{"a":"\\ud83c"}',
        '{"a":' * 63 + "{}" + "}" * 63,
        '{"a":' * 63 + '{"b":1}' + "}" * 63,
        '{"a":' * 64 + "{}" + "}" * 64,
    ),
    *(json.dumps({"a": "é" * 32_764}, ensure_ascii=False), json.dumps({"a": "é" * 32_765}, ensure_ascii=False)),
    *(f'{{"a":[{number}]}}' for number in EDGE_NUMBERS),
    '{"a":[' + "[]," * 21_000 + "1]}",
)
_EDGE_TEXTS = ("a\x00b", "\x01\x1f\x7f\u2028\ufeff\ufffe\uffff\U0010ffff", "\\u0000\n")
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(JsonObject)


def _is_time(part: dict[str, Any]) -> bool:
    return re.search(r"T\(\[01\]|\[Tt \]", part.get("pattern", "")) is not None


def edges(part: dict[str, Any]) -> list[str]:
    """JSON literals on both sides of every bound that a schema has, and of those that JSON Schema cannot say."""
    if "anyOf" in part:
        return [*dict.fromkeys(literal for inner in part["anyOf"] for literal in edges(inner))]
    if _is_time(part):
        return [json.dumps(time) for time in EDGE_TIMES]
    if part["type"] == "string":
        longest = part.get("maxLength", 3_000)
        texts = [*_EDGE_TEXTS, *("🎬" * n for n in (0, 1, longest, longest + 1)), "x" * longest]
        money = (
            ["0", "999999.999999", "000000.000000", "1000000", "0.0000001"] if "\\." in part.get("pattern", "") else []
        )
        return [json.dumps(text) for text in [*texts, *money]]
    if part["type"] == "integer":
        bounds = (part["minimum"], part["maximum"])
        return [str(bound + step) for bound in bounds for step in (-1, 0, 1)] + ["1.0", "1e2"]
    others = {"number": EDGE_NUMBERS, "object": _EDGE_OBJECTS, "boolean": ("true", "1"), "null": ("null",)}
    return [*others[part["type"]]]


def conforming(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that the schema lets through, those at its bounds more often than by chance."""
    if "anyOf" in part:
        return st.one_of([conforming(inner) for inner in part["anyOf"]])
    if "const" in part:
        return st.just(part["const"])
    return {"string": _texts, "integer": _integers, "number": _numbers, "object": _objects}.get(
        part["type"], lambda _: st.booleans() if part["type"] == "boolean" else st.none()
    )(part)


def _texts(part: dict[str, Any]) -> st.SearchStrategy[str]:
    pattern = part.get("pattern", "")
    least, most = part.get("minLength", 0), part.get("maxLength", 2_000)
    if pattern.startswith("^[^"):
        return st.text(CHARACTERS, min_size=least, max_size=min(most, 8)) | CHARACTERS.map(lambda one: one * most)
    return st.from_regex(re.compile(pattern.replace("$", r"\Z"), re.ASCII), fullmatch=True)


def _integers(part: dict[str, Any]) -> st.SearchStrategy[int]:
    return st.sampled_from([part["minimum"], part["maximum"]]) | st.integers(part["minimum"], part["maximum"])


def _numbers(part: dict[str, Any]) -> st.SearchStrategy[float]:
    return st.floats(part["minimum"], allow_infinity=False, allow_nan=False) | st.integers(part["minimum"], 10**308)


def _objects(_part: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    text = st.text(CHARACTERS, max_size=5)
    scalars = (
        st.none()
        | st.booleans()
        | text
        | st.integers(-(10**308), 10**308)
        | st.floats(allow_infinity=False, allow_nan=False)
    )
    whole = [literal for literal in map(_loaded, _EDGE_OBJECTS) if literal is not None]
    inner = st.recursive(
        scalars, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(text, deeper, max_size=3), max_leaves=5
    )
    return st.dictionaries(text, inner, max_size=3) | st.sampled_from(whole)


def _loaded(literal: str) -> dict[str, Any] | None:
    """An object that is kept, from its literal."""
    try:
        return _OBJECT.validate_json(literal)
    except ValueError:
        return None
