"""Replaces references in a schema by their targets, and removes keywords that do not say which documents are valid."""

from typing import Any

Schema = dict[str, Any] | bool

ANNOTATIONS = frozenset(
    {
        *("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples"),
        *("deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"),
    }
)
_SHAPES: tuple[tuple[tuple[type, ...], frozenset[str]], ...] = (
    ((int, float), frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})),
    ((int, float), frozenset({"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"})),
    ((str,), frozenset({"pattern", "format"})),
    ((str, list), frozenset({"type"})),
    ((list,), frozenset({"required", "enum", "anyOf", "allOf", "oneOf", "prefixItems"})),
    ((dict,), frozenset({"properties", "patternProperties"})),
    ((bool,), frozenset({"uniqueItems"})),
)
_SCHEMAS = frozenset({"items", "additionalProperties", "propertyNames", "not", "contains"})
_LISTS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_TABLES = frozenset({"properties", "patternProperties"})


def plain(schema: Any) -> Schema:
    """`schema` without references and annotations.

    A reference stays as it is if it leads to itself or out of the document. Nothing is known about its target then.

    Raises:
        ValueError: this is not a schema, or a reference has no target.
    """
    return _plain(schema, schema, ())


def _plain(schema: Any, root: Any, inside: tuple[str, ...]) -> Schema:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise ValueError("a schema is an object, true or false")  # noqa: TRY004 - what a file holds is a value
    if "$id" in schema and schema is not root:
        return {"$ref": "a schema with an id of its own"}
    _check_keywords(schema)
    known = {name: part for name, part in schema.items() if name not in ANNOTATIONS and not name.startswith("x-")}
    pointer = known.pop("$ref", None)
    found = {name: _below(name, part, root, inside) for name, part in known.items()}
    if pointer is None:
        return found
    if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")) or pointer in inside:
        target: Schema = {"$ref": pointer}
    else:
        target = _plain(_at(root, pointer), root, (*inside, pointer))
    return {"allOf": [target, found]} if found else target


def _below(name: str, part: Any, root: Any, inside: tuple[str, ...]) -> Any:
    if name in _SCHEMAS:
        return _plain(part, root, inside)
    if name in _LISTS and isinstance(part, list):
        return [_plain(one, root, inside) for one in part]
    if name in _TABLES and isinstance(part, dict):
        return {key: _plain(one, root, inside) for key, one in part.items()}
    return part


def _check_keywords(schema: dict[str, Any]) -> None:
    """Refuse keywords whose values are not as JSON Schema 2020-12 has them, as those of an older dialect may be."""
    for kinds, names in _SHAPES:
        for name in names & schema.keys():
            if not isinstance(schema[name], kinds) or (isinstance(schema[name], bool) and bool not in kinds):
                raise ValueError(f"{name} has a value that JSON Schema 2020-12 does not allow")


def _at(root: Any, pointer: str) -> Any:
    """The target of a JSON Pointer in a fragment (RFC 6901, section 6)."""
    place = root
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or key not in place:
            raise ValueError(f"$ref {pointer} has no target")
        place = place[key]
    return place
