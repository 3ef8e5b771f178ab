"""Records as events: their binary mode, and what a refusal says."""

import json
from typing import Any

import pytest

from reelsync.events import InvalidEventError, parse_event
from tests.support.builders import video

MARK = "canary-7c1e"
DATA = json.loads(video("created"))["data"]
ATTRIBUTES = {
    "ce_specversion": b"1.0",
    "ce_id": b"1",
    "ce_source": b"/x",
    "ce_type": b"video.created",
    "ce_time": b"2026-01-05T10:00:00Z",
}
JSON_TYPE = {"content-type": b"application/json"}


def invalid(value: bytes, headers: Any = ()) -> InvalidEventError:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(value, headers)
    return caught.value


def problem_of(value: bytes, headers: Any) -> InvalidEventError | None:
    try:
        parse_event(value, headers)
    except InvalidEventError as error:
        return error
    return None


def paths(error: InvalidEventError) -> list[str]:
    return [problem.path for problem in error.problems]


def changed(value: bytes, **attributes: Any) -> bytes:
    return json.dumps(json.loads(value) | attributes).encode()


def binary(value: Any = DATA, **headers: bytes | None) -> tuple[bytes, Any]:
    """Value and headers of a binary event; a header set to `...` is left out."""
    merged = {**ATTRIBUTES, **JSON_TYPE, **headers}
    return json.dumps(value).encode(), [(name, content) for name, content in merged.items() if content is not ...]
