"""JSON objects that `jsonb` can keep whole: their size, depth, text and numbers are checked at any depth."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 65_536

_MOST_PARTS = MAX_JSON_BYTES // 2
"""Every value in an object or array takes at least two bytes of JSON."""
_CONTAINERS = (dict, list)
_JSON_TYPES = (str, int, float, dict, list)
_TOO_LONG = "must not be longer than 65,536 bytes as JSON"
_BAD_TEXT = "must not contain NUL or a lone surrogate at any depth"
_BAD_NUMBER = "must not contain a number beyond double at any depth"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_LONG_NUMBER = re.compile(r"[0-9](?<![0-9][0-9])[0-9]{308,}")
"""It is tried at the first digit of a number only, so that the time grows with the length and not with its square."""
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True)
class _JsonObject:
    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        anything = core_schema.dict_schema(core_schema.str_schema(strict=True), core_schema.any_schema(), strict=True)
        return core_schema.json_or_python_schema(
            core_schema.no_info_after_validator_function(checked_json_object, anything),
            core_schema.no_info_after_validator_function(_checked_python_object, anything),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        limits = (
            f"At most {MAX_JSON_DEPTH} levels deep and {MAX_JSON_BYTES:,} bytes long as JSON; numbers within double."
        )
        return {"type": "object", "description": limits}


def checked_json_object(value: dict[str, Any]) -> dict[str, Any]:
    """`value` itself, if `jsonb` can keep all of it.

    Raises:
        PydanticCustomError: it is deeper than 64 levels, over 64 KiB as JSON, or holds at any depth NUL, a lone
            surrogate, a number beyond double, or something that JSON does not have.
    """
    encoded = _encoded(value)
    if encoded.count("[") + encoded.count("{") > MAX_JSON_DEPTH:
        for _ in _levels(value):
            pass
    if "\\u0000" in encoded and _ESCAPED_NUL.search(encoded):
        raise PydanticCustomError("json_text", _BAD_TEXT)
    if _LONG_NUMBER.search(encoded) and _has_number_beyond_double(encoded):
        raise PydanticCustomError("json_number", _BAD_NUMBER)
    return value


def _encoded(value: dict[str, Any]) -> str:
    """The value as JSON, which is the fastest way to look at all of it. Its length is checked before anything else."""
    try:
        encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(encoded.encode())
    except UnicodeEncodeError:
        raise PydanticCustomError("json_text", _BAD_TEXT) from None
    except ValueError:  # NaN, an infinity, or more digits than Python converts
        raise PydanticCustomError("json_number", _BAD_NUMBER) from None
    if size > MAX_JSON_BYTES:
        raise PydanticCustomError("json_size", _TOO_LONG)
    return encoded


def _has_number_beyond_double(encoded: str) -> bool:
    return any(math.isinf(float(digits)) for digits in _LONG_NUMBER.findall(_STRING.sub("", encoded)))


def _checked_python_object(value: dict[str, Any]) -> dict[str, Any]:
    """The same for a Python object that was never JSON. What the encoder would silently convert is refused."""
    for level in _levels(value):
        for part in level:
            if isinstance(part, dict) and not all(isinstance(key, str) for key in part):
                raise PydanticCustomError("json_type", "must have text for keys at any depth")
            if part is not None and not isinstance(part, _JSON_TYPES):
                raise PydanticCustomError("json_type", "must contain JSON values only")
    return checked_json_object(value)


def _levels(value: dict[str, Any]) -> Iterator[list[Any]]:
    """The parts of the object, level by level, the object itself first.

    Raises:
        PydanticCustomError: there are too many levels, or more parts than the longest object could have.
    """
    level: list[Any] = [value]
    containers: list[Any] = level
    parts = 0
    for _ in range(MAX_JSON_DEPTH):
        yield level
        level = [part for inner in containers for part in (inner.values() if isinstance(inner, dict) else inner)]
        parts += len(level)
        if parts > _MOST_PARTS:
            raise PydanticCustomError("json_size", _TOO_LONG)
        containers = [part for part in level if isinstance(part, _CONTAINERS)]
        if not containers:
            yield level
            return
    raise PydanticCustomError("json_depth", "must not be nested deeper than 64 levels")


JsonObject = Annotated[dict[str, Any], _JsonObject()]
"""A JSON object that `jsonb` can keep: at most 64 levels deep and 64 KiB long."""
