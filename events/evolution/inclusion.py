"""Decides whether the reader's schema accepts every document that the writer's schema accepts.

For all JSON Schemas there is no quick and exact answer. This one may be wrong in one way only: it may report a
difference where there is none. If it reports no difference, then there is none. Two rules see to that:

- A keyword that is not known here is ignored in the writer's schema. That only makes more documents possible. In the
  reader's schema it is reported as a difference.
- If several keywords of the reader's schema apply at the same place, the writer's schema must satisfy each of them. If
  several keywords of the writer's schema apply, it is enough that one of them satisfies the reader's.

The dialect is JSON Schema 2020-12, https://json-schema.org/draft/2020-12/json-schema-core and -validation.
"""

from collections.abc import Iterator
from typing import Any

from .differences import Difference, Rule, canonical
from .references import Schema
from .scalars import Keywords, length_differences, number_differences, text_differences, value_matches

_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_TOGETHER = ("allOf", "anyOf", "oneOf")
_KNOWN = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"},
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
}
_ANY_TYPE = {"type", "enum", "const", *_TOGETHER}
_ALL_KNOWN = _ANY_TYPE.union(*_KNOWN.values())


def differences(written: Schema, read: Schema, path: str = "") -> list[Difference]:
    """The reasons why `read` may refuse a document that `written` accepts. There are none if it never does.

    Both schemas come from `plain`.
    """
    if written is False or read is True or read == {}:
        return []
    if read is False:
        return [Difference(path, "field", "false", written, read)]
    if written is not True and '"$' not in (text := canonical(written)) and text == canonical(read):
        return []
    return _reader_together({} if written is True else written, read, path)


def _reader_together(written: Keywords, read: Keywords, path: str) -> list[Difference]:
    """Check each keyword of the reader's schema in turn: the writer's schema must satisfy them all."""
    found: list[Difference] = []
    rest = {name: part for name, part in read.items() if name not in _TOGETHER}
    if unknown := sorted(set(rest) - _ALL_KNOWN):
        return [Difference(path, "undecided", unknown[0], None, rest[unknown[0]])]
    if rest:
        found += _writer_together(written, [rest], path)
    for part in read.get("allOf", ()):
        found += differences(written, part, path)
    if "anyOf" in read:
        found += _writer_together(written, read["anyOf"], path)
    if "oneOf" in read:
        if not _exclusive(read["oneOf"]):
            return [Difference(path, "undecided", "oneOf", None, read["oneOf"])]
        found += _writer_together(written, read["oneOf"], path)
    return found


def _writer_together(written: Keywords, choices: list[Schema], path: str) -> list[Difference]:
    """Compare by the keyword of the writer's schema that leaves the fewest differences from one of the choices."""
    ways = [{name: part for name, part in written.items() if name not in _TOGETHER}]
    answers = [_each_kind(ways[0], choices, path)]
    answers += [_choice(part, choices, path) for part in written.get("allOf", ())]
    answers += [
        [one for part in written[keyword] for one in _choice(part, choices, path)]
        for keyword in ("anyOf", "oneOf")
        if keyword in written
    ]
    if len(answers) > 1 and not ways[0]:
        del answers[0]
    return min(answers, key=len)


def _choice(written: Schema, choices: list[Schema], path: str) -> list[Difference]:
    if written is False or any(not differences(written, choice, path) for choice in choices):
        return []
    return _writer_together({} if written is True else written, choices, path)


def _each_kind(written: Keywords, choices: list[Schema], path: str) -> list[Difference]:
    """Compare with several choices. If the writer's schema lists its values, compare each value, else each type."""
    if "const" in written or "enum" in written:
        values = [written["const"]] if "const" in written else written["enum"]
        return [one for value in values for one in _value_differences(value, choices, path)]
    return [one for kind in _kinds(written) for one in _kind_differences(kind, written, choices, path)]


def _kinds(schema: Keywords) -> list[str]:
    named = schema.get("type", [kind for kind in _TYPES if kind != "integer"])
    return [named] if isinstance(named, str) else list(named)


def _takes(schema: Keywords, kind: str) -> bool:
    kinds = _kinds(schema)
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _kind_differences(kind: str, written: Keywords, choices: list[Schema], path: str) -> list[Difference]:
    """Compare one type. If a choice accepts all of it, there is no difference; else return the fewest there are."""
    reasons: list[list[Difference]] = []
    for choice in choices:
        if choice is False:
            continue
        if choice is True or _nested(choice):
            found = differences({**written, "type": kind}, choice, path)
        elif not _takes(choice, kind):
            continue
        else:
            found = list(_same_kind(kind, written, choice, path))
        if not found:
            return []
        reasons.append(found)
    taken = sorted({one for choice in choices if isinstance(choice, dict) for one in _kinds(choice)})
    return min(reasons, key=len, default=[Difference(path, "type", "type", kind, taken)])


def _nested(schema: Keywords) -> bool:
    return any(name in schema for name in _TOGETHER)


def _same_kind(kind: str, written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    if unknown := sorted(set(read) - _ALL_KNOWN):
        yield Difference(path, "undecided", unknown[0], None, read[unknown[0]])
    if "const" in read or "enum" in read:
        yield Difference(path, "values", "enum", None, read.get("enum", [read.get("const")]))
    if kind == "string":
        yield from text_differences(written, read, path)
    elif kind in {"integer", "number"}:
        yield from number_differences(written, read, path)
        if "format" in read and written.get("format") != read["format"]:
            yield Difference(path, "format", "format", written.get("format"), read["format"])
    elif kind == "array":
        yield from _array_differences(written, read, path)
    elif kind == "object":
        yield from _object_differences(written, read, path)


def _array_differences(written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    yield from length_differences("array", written, read, path)
    if read.get("uniqueItems", False) and not written.get("uniqueItems", False):
        yield Difference(path, "unique", "uniqueItems", written.get("uniqueItems"), read["uniqueItems"])
    items = True if "prefixItems" in written else written.get("items", True)
    if "items" in read and written.get("maxItems") != 0:
        yield from differences(items, read["items"], f"{path}[]")


def _object_differences(written: Keywords, read: Keywords, path: str) -> Iterator[Difference]:
    writes, reads = written.get("properties", {}), read.get("properties", {})
    others_written: Schema = True if "patternProperties" in written else written.get("additionalProperties", True)
    others_read: Schema = read.get("additionalProperties", True)
    required = set(written.get("required", ()))
    for name in read.get("required", ()):
        if name not in required:
            rule: Rule = "required" if name in writes or others_written is not False else "missing"
            yield Difference(_join(path, name), rule, "required", None, None)
    for name, schema in reads.items():
        if name in writes:
            yield from differences(writes[name], schema, _join(path, name))
        elif differences(others_written, schema, _join(path, name)):
            yield Difference(_join(path, name), "open", "properties", others_written, schema)
    for name in sorted(writes.keys() - reads.keys()):
        yield from differences(writes[name], others_read, _join(path, name))
    if differences(others_written, others_read, path):
        yield Difference(_join(path, "*"), "open", "additionalProperties", others_written, others_read)
    if max(written.get("minProperties", 0), len(required)) < read.get("minProperties", 0):
        yield Difference(path, "lower_bound", "minProperties", written.get("minProperties"), read["minProperties"])
    most = min(written.get("maxProperties", float("inf")), float("inf") if others_written is not False else len(writes))
    if most > read.get("maxProperties", float("inf")):
        yield Difference(path, "upper_bound", "maxProperties", written.get("maxProperties"), read["maxProperties"])


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _value_differences(value: Any, choices: list[Schema], path: str) -> list[Difference]:
    if any(_value_passes(value, choice) for choice in choices):
        return []
    plain_choices = [choice for choice in choices if isinstance(choice, dict)]
    allowed = [one for choice in plain_choices for one in choice.get("enum", [choice.get("const")])]
    return [Difference(path, "value", "enum", value, [one for one in allowed if one is not None])]


def _value_passes(value: Any, schema: Schema) -> bool:
    """Whether it is certain that one value passes. It is compared as a schema that accepts this value alone."""
    if isinstance(schema, bool):
        return schema
    if _nested(schema):
        return not differences({"const": value}, schema)
    if "const" in schema and canonical(schema["const"]) != canonical(value):
        return False
    if "enum" in schema and canonical(value) not in {canonical(one) for one in schema["enum"]}:
        return False
    kind, tightest = _as_schema(value)
    if not _takes(schema, kind):
        return False
    limits = {name: part for name, part in schema.items() if name not in {"const", "enum"}}
    if "pattern" in limits and value_matches(value, limits["pattern"]):
        del limits["pattern"]
    return not any(_same_kind(kind, tightest, limits, ""))


def _as_schema(value: Any) -> tuple[str, Keywords]:
    if value is None:
        return "null", {}
    if isinstance(value, bool):
        return "boolean", {}
    if isinstance(value, str):
        return "string", {"minLength": len(value), "maxLength": len(value)}
    if isinstance(value, int | float):
        whole = isinstance(value, int) or value.is_integer()
        return "integer" if whole else "number", {"minimum": value, "maximum": value, "multipleOf": value}
    if isinstance(value, list):
        return "array", {"minItems": len(value), "maxItems": len(value)}
    return "object", {
        "properties": {name: {"const": part} for name, part in value.items()},
        "required": list(value),
        "additionalProperties": False,
    }


def _exclusive(choices: list[Schema]) -> bool:
    """Whether no document can pass two of the choices, because their types differ."""
    kinds: set[str] = set()
    for choice in choices:
        if not isinstance(choice, dict) or "type" not in choice:
            return False
        mine = {"number" if kind == "integer" else kind for kind in _kinds(choice)}
        if mine & kinds:
            return False
        kinds |= mine
    return True
