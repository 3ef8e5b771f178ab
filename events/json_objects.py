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

_LONG_NUMBER = re.compile(r"[0-9]{309}")


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
    """`value` itself, when `jsonb` can keep all of it.

    Raises:
        PydanticCustomError: deeper than 64 levels, over 64 KiB as JSON, or holding, at any depth, NUL, a lone
            surrogate, a number beyond double, or something JSON does not have.
    """
    try:
        encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(encoded.encode())
    except (ValueError, TypeError, RecursionError):
        encoded, size = "", 0
    if not _is_surely_fine(encoded):
        for part, depth in _walk(value):
            if depth > MAX_JSON_DEPTH:
                raise PydanticCustomError("json_depth", "must not be nested deeper than 64 levels")
            _check_json_part(part)
    if size > MAX_JSON_BYTES:
        raise PydanticCustomError("json_size", "must not be longer than 65,536 bytes as JSON")
    return value


def _checked_python_object(value: dict[str, Any]) -> dict[str, Any]:
    """The same for an object that was never JSON: what the encoder would quietly turn into JSON is refused."""
    for part, depth in _walk(value):
        if depth > MAX_JSON_DEPTH:
            raise PydanticCustomError("json_depth", "must not be nested deeper than 64 levels")
        if isinstance(part, dict) and not all(isinstance(key, str) for key in part):
            raise PydanticCustomError("json_type", "must have text for keys at any depth")
        _check_json_part(part)
    return checked_json_object(value)


def _is_surely_fine(encoded: str) -> bool:
    """Whether the encoded text alone shows that no part needs a look: the walk costs ten times as much."""
    return bool(
        encoded
        and "\\u0000" not in encoded
        and encoded.count("[") + encoded.count("{") <= MAX_JSON_DEPTH
        and _LONG_NUMBER.search(encoded) is None
    )


def _walk(value: object) -> Iterator[tuple[object, int]]:
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        if isinstance(part, dict):
            waiting.extend((key, depth) for key in part)
            waiting.extend((item, depth + 1) for item in part.values())
        elif isinstance(part, list):
            waiting.extend((item, depth + 1) for item in part)


def _check_json_part(part: object) -> None:
    if isinstance(part, str):
        if "\x00" in part or any("\ud800" <= character <= "\udfff" for character in part):
            raise PydanticCustomError("json_text", "must not contain NUL or a lone surrogate at any depth")
    elif isinstance(part, int | float):
        try:
            finite = math.isfinite(part)
        except OverflowError:
            finite = False
        if not finite:
            raise PydanticCustomError("json_number", "must not contain a number beyond double at any depth")
    elif part is not None and not isinstance(part, dict | list):
        raise PydanticCustomError("json_type", "must contain JSON values only")


JsonObject = Annotated[dict[str, Any], _JsonObject()]
"""A JSON object that `jsonb` can keep: at most 64 levels deep and 64 KiB long."""
