"""A record's bytes for people and for machines. Pure."""

from base64 import b64encode
from typing import Any

import orjson

from consumer.cli.terminal import printable


def escaped(content: bytes | None) -> str:
    """Bytes as text with what cannot be shown escaped, so that a payload cannot speak to the terminal."""
    return "–" if content is None else printable(content.decode(errors="backslashreplace"))


def decoded(value: bytes | None) -> Any:  # noqa: ANN401 - whatever JSON has
    """The JSON in a value; None if it is none, or too deep to show."""
    try:
        found = None if value is None else orjson.loads(value)
        orjson.dumps(found)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return found


def as_lines(document: Any) -> list[str]:  # noqa: ANN401 - whatever JSON has
    """A JSON document, indented."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode().split("\n")


def as_json(key: bytes | None, value: bytes | None, headers: list[list[bytes | None]] | None) -> dict[str, Any]:
    """A record as text for reading, and as base64 that gives every byte back."""
    listed = [
        {"name": _text(name), "value": _text(content), "value_base64": _base64(content)}
        for name, content in headers or ()
    ]
    encoded = {"key_base64": _base64(key), "value_base64": _base64(value)}
    return {"key": _text(key), "value": _text(value), "headers": listed, **encoded}


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")
