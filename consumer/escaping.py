"""Escaping text from records, headers, topics and servers, so that it cannot control a terminal. Pure."""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

# Controls (C0, DEL, C1), format characters (those of bidirectional text, zero-width ones, tags), the separators of
# lines and paragraphs, and lone surrogates. Source: Unicode general categories Cc, Cf, Zl, Zp and Cs.
_SPEAKS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
_IN_JSON = re.compile(_SPEAKS.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f"))
"""The same without the line feed: in JSON it stands between values only."""


def printable(content: str) -> str:
    """One line of text, with control and formatting characters escaped, line feeds too."""
    return _SPEAKS.sub(lambda found: repr(found[0])[1:-1], content)


def printable_lines(content: str) -> str:
    """The same for text of several lines: line feeds stay."""
    return "\n".join(map(printable, content.split("\n")))


def json_bytes(document: Any, *, indent: bool = False, default: Callable[[Any], Any] = str) -> bytes:
    """A JSON document in UTF-8 that has the same meaning and does not control a terminal."""
    try:
        encoded = orjson.dumps(document, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2 * indent, default=default)
    except orjson.JSONEncodeError:
        # Lone surrogates, and numbers of more than 64 bits.
        return json.dumps(document, indent=2 if indent else None, default=default).encode()
    return json_text(encoded.decode()).encode()


def json_text(encoded: str) -> str:
    """The same for encoded JSON. Encoders already escape control characters below the space."""
    if encoded.isascii() and "\x7f" not in encoded:
        return encoded
    return _IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], encoded)
