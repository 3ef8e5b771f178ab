"""A dead letter as a line of JSON for correction by hand, and reading that line again. Pure.

Text is in `key`, `value` and a header's `value`; bytes that are no text are in `key_base64` and `value_base64`, so that
what is not edited stays the same byte for byte. In an edited line `value` may also be a JSON object.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO, NamedTuple

import orjson

from reelsync.consumer.errors import ReelsyncError

from .table import KEY_NAMES, Header, Letter, LetterKey

LINE_BYTES = 32 * 1_048_576
LINES = 200_000
TOTAL_BYTES = 256 * 1_048_576
"""The largest file: its lines are checked together and stored in one transaction."""

_TOLD = ("state", "stage", "reason", "detail", "event_id", "event_type", "attempts", "redrives")


class LineError(ValueError):
    """A line is not an exported one, or was edited where it must not be. The message has the place, never a value."""


class TooMuchError(ReelsyncError):
    """A file is larger than the limits."""

    exit_code = 2


class Edited(NamedTuple):
    """An edited line: its letter, and the record to apply."""

    key: LetterKey
    record_key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


def bounded_lines(source: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Reading stops at the limits, so a file without an end is refused.

    Raises:
        TooMuchError: a line is too long, or there are too many lines or bytes.
    """
    total = 0
    for number in count(1):
        line = source.readline(LINE_BYTES + 1)
        if not line:
            return
        total += len(line)
        if len(line) > LINE_BYTES:
            raise TooMuchError(f"line {number} has more than {LINE_BYTES:,} bytes: is it JSON Lines? {_NOTHING}")
        if number > LINES:
            raise TooMuchError(f"there are more than {LINES:,} lines: import them in parts. {_NOTHING}")
        if total > TOTAL_BYTES:
            raise TooMuchError(f"line {number} is beyond {TOTAL_BYTES:,} bytes: import them in parts. {_NOTHING}")
        yield line


_NOTHING = "Nothing was stored"


def line_of(group: str, letter: Letter) -> dict[str, Any]:
    """A letter for `dlq export`: its origin, what is wrong with it, and the record as it is to be applied."""
    record = letter.record
    headers = [header_shown(name, content) for name, content in record.headers]
    return {
        "group": group,
        **letter.key._asdict(),
        **{name: letter.row[name] for name in _TOLD},
        "aggregate_id": None if letter.row["aggregate_id"] is None else str(letter.row["aggregate_id"]),
        "corrected": letter.is_corrected,
        **shown("key", record.key),
        **shown("value", record.value),
        "headers": headers,
    }


def edited_line(group: str, line: bytes) -> Edited:
    """The letter that a line names, and the record to apply.

    Raises:
        LineError: the line cannot be imported.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise LineError("is not JSON") from None
    if not isinstance(document, dict):
        raise LineError("is not a JSON object")
    if document.get("group") != group:
        raise LineError(f"group: is not {group}, the group of REELSYNC_KAFKA__GROUP_ID")
    headers = document.get("headers")
    if not isinstance(headers, list) or not all(isinstance(header, dict) for header in headers):
        raise LineError("headers: must be a list of objects with name and value")
    return Edited(
        _key_of(document),
        received_bytes(document, "key"),
        received_bytes(document, "value", or_object=True),
        tuple(header_of(header, f"headers.{number}.") for number, header in enumerate(headers)),
    )


def header_shown(name: str, content: bytes | None) -> dict[str, str | None]:
    """A header as an object with name and value."""
    return {**shown("name", name.encode(errors="surrogateescape")), **shown("value", content)}


def shown(name: str, content: bytes | None) -> dict[str, str | None]:
    """Bytes as a member of an object: as text, or with the suffix `_base64` if they are no text."""
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(content or b"").decode()}


def _key_of(document: Mapping[str, Any]) -> LetterKey:
    topic, *values = (document.get(name) for name in KEY_NAMES)
    numbers = [value for value in values if type(value) is int]
    if not isinstance(topic, str) or len(numbers) != len(values):
        raise LineError(f"{', '.join(KEY_NAMES)}: identify the letter, and must stay as they were exported")
    if not all(-(2**63) <= number < 2**63 for number in numbers) or not 0 <= numbers[0] < 2**31:
        raise LineError(f"{', '.join(KEY_NAMES)}: there is no such place in a log")
    if "\0" in topic:
        raise LineError("topic: has a NUL, which a topic cannot have")
    return LetterKey(topic, *numbers)


def header_of(header: Mapping[str, Any], path: str = "") -> Header:
    """What `header_shown` has shown.

    Raises:
        LineError: it is something else. `path` is where.
    """
    name = received_bytes(header, "name", path)
    if name is None:
        raise LineError(f"{path}name: is missing")
    return name.decode(errors="surrogateescape"), received_bytes(header, "value", path)


def received_bytes(document: Mapping[str, Any], name: str, path: str = "", *, or_object: bool = False) -> bytes | None:
    """What `shown` has shown.

    Raises:
        LineError: it is something else. `path` is where.
    """
    encoded = f"{name}_base64"
    if (name in document) == (encoded in document):
        raise LineError(f"{path}{name}: give {name} or {encoded}, one of them")
    content = document.get(name, document.get(encoded))
    if content is None:
        return None
    if or_object and isinstance(content, dict) and name in document:
        return orjson.dumps(content)
    if not isinstance(content, str):
        raise LineError(f"{path}{name}: must be text or null{', or a JSON object' if or_object else ''}")
    if name in document:
        return content.encode()
    try:
        return b64decode(content, validate=True)
    except ValueError:
        raise LineError(f"{path}{encoded}: is not base64") from None
