"""Records that can never be applied as they are: one of each kind of mistake that publishers make."""

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

Document = dict[str, Any]
Headers = tuple[tuple[str, bytes | None], ...]


FROM_EVENT = b"<from the event>"
"""A placeholder for the id of the event's aggregate."""


class Poison(NamedTuple):
    """A record to send, and its topic."""

    kind: str
    aggregate: str
    value: bytes | None
    headers: Headers = ()
    key: bytes | None = FROM_EVENT


def _with_data(**data: Any) -> Callable[[Document], Document]:
    return lambda event: event | {"data": event["data"] | data}


def _with(**attributes: Any) -> Callable[[Document], Document]:
    return lambda event: event | attributes


def _without(name: str) -> Callable[[Document], Document]:
    return lambda event: {key: value for key, value in event.items() if key != name}


def _without_data(name: str) -> Callable[[Document], Document]:
    return lambda event: event | {"data": {key: value for key, value in event["data"].items() if key != name}}


_OF_VIDEO: dict[str, Callable[[Document], Document]] = {
    "missing type": _without("type"),
    "missing id": _without("id"),
    "missing time": _without("time"),
    "missing data": _without("data"),
    "missing field": _without_data("title"),
    "missing owner": _without_data("user_id"),
    "unknown type": _with(type="video.exploded"),
    "wrong specversion": _with(specversion="0.3"),
    "naive time": _with(time="2026-01-05T10:00:00"),
    "numeric time": _with(time="1767225600"),
    "time before 1970": _with(time="1969-12-31T23:59:59Z"),
    "time out of range": _with(time="9999-12-31T23:59:59-14:00"),
    "subject of another": _with(subject="00000000-0000-4000-8000-000000000000"),
    "future schema": _with(dataschema="urn:reelsync:video.created:99"),
    "id that is no UUID": _with_data(video_id="video-17"),
    "version 0": _with_data(version=0),
    "version 2^62": _with_data(version=2**62),
    "version as string": _with_data(version="7"),
    "version as float": _with_data(version=1.0),
    "version as boolean": _with_data(version=True),
    "progress beyond 100": lambda event: _with_data(progress=101)(event | {"type": "video.progressed"}),
    "title too long": _with_data(title="x" * 201),
    "title with NUL": _with_data(title="a\x00b"),
}
_OF_USER: dict[str, Callable[[Document], Document]] = {
    "bad username": _with_data(username="no spaces, please"),
    "preferences with NUL": _with_data(preferences={"deep": [{"er": "\x00"}]}),
    "preferences not an object": _with_data(preferences=[1, 2]),
}
_RAW: dict[str, Callable[[bytes], bytes]] = {
    "not JSON": lambda _value: b"\x89PNG\r\n\x1a\n",
    "truncated JSON": lambda value: value[: len(value) // 2],
    "JSON, but no object": lambda _value: b"[1, 2, 3]",
    "empty value": lambda _value: b"",
    "not UTF-8": lambda value: value.replace(b'"title":"', b'"title":"\xff\xfe'),
    "lone surrogate": lambda value: value.replace(b'"title":"', b'"title":"\\ud800'),
    "NaN": lambda value: value.replace(b'"version":', b'"x":NaN,"version":NaN,"y":'),
    "integer beyond bigint": lambda value: value.replace(b'"version":', b'"version":9223372036854775808,"y":'),
    "value too large": lambda value: value.replace(b'"title":"', b'"padding":"' + b"x" * 600_000 + b'","title":"'),
}


_PREFERENCES: dict[str, bytes] = {
    "preferences too deep": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    "JSON too deep": b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "preferences beyond double": b'{"a":[1e999]}',
    "preferences with a lone surrogate": b'{"a":["\\udfff"]}',
}
_JSON = ("content-type", b"application/json")
_SOME_ATTRIBUTES: Headers = (("ce_id", b"1"), ("ce_type", b"video.created"), _JSON)


def poison_of(video: Document, user: Document, usage: Document, completed: Document) -> list[Poison]:
    """One record of each kind, made from valid events: of video.created, user.created, and so on.

    A tombstone without a key is not among them: aiokafka does not send a record that has neither key nor value.
    """
    valid, valid_user = orjson.dumps(video), orjson.dumps(_with_data(preferences={})(user))
    made = [Poison(kind, "video", orjson.dumps(spoil(video))) for kind, spoil in _OF_VIDEO.items()]
    made += [Poison(kind, "user", orjson.dumps(spoil(user))) for kind, spoil in _OF_USER.items()]
    made += [Poison(kind, "video", spoil(valid)) for kind, spoil in _RAW.items()]
    for kind, cost in (("cost with 7 places", "0.1234567"), ("cost as number", 0.5)):
        made.append(Poison(kind, "model_usage", orjson.dumps(_with_data(cost_usd=cost)(usage))))
    for kind, literal in (
        ("amount beyond double", b"1e999"),
        ("amount infinite", b"Infinity"),
        ("amount as string", b'"12"'),
    ):
        value = orjson.dumps(completed).replace(b'"processing_time":', b'"processing_time":' + literal + b',"x":')
        made.append(Poison(kind, "video", value))
    for kind, preferences in _PREFERENCES.items():
        made.append(
            Poison(kind, "user", valid_user.replace(b'"preferences":', b'"preferences":' + preferences + b',"x":'))
        )
    without_time: Headers = tuple(
        (f"ce_{name}", str(video[name]).encode()) for name in ("specversion", "id", "source", "type")
    )
    return [
        *made,
        Poison("binary without attributes", "video", orjson.dumps(video["data"]), _SOME_ATTRIBUTES),
        Poison("binary without a time", "video", orjson.dumps(video["data"]), (*without_time, _JSON)),
        Poison("null with ce_ headers", "video", None, _SOME_ATTRIBUTES),
        Poison("tombstone of a fact", "model_usage", None),
        Poison("tombstone with an empty key", "video", None, key=b""),
        Poison("tombstone with a bad key", "user", None, key=b"somebody"),
        Poison("header junk", "video", b"\xff", (("ce_type", b"\xff\xfe"), ("x", None), ("traceparent", b"\xff"))),
    ]
