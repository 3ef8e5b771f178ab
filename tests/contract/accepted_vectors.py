"""Records that are events of the contract, in every form that it allows."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from reelsync.events import EVENT_DATA
from reelsync.events.json_schema import example_events
from tests.contract.vector_records import USER, VIDEO, Headers, Input, attributes_of, compact, event_of, structured

_KEYS = {"upper case": str.upper, "without dashes": lambda text: text.replace("-", "")}
_TIMES = (
    *(
        "2026-01-05T10:00:00Z",
        "2026-01-05T10:00:00.123456Z",
        "2026-01-05T10:00:00.123456789Z",
        "2026-01-05T10:00:00+00:00",
    ),
    *("2026-01-05T12:00:00+02:00", "2026-01-05t10:00:00z", "2026-01-05 10:00:00Z", "2024-02-29T00:00:00Z"),
    *("1970-01-01T00:00:00Z", "2200-01-01T00:00:00Z", "1971-01-01T00:00:00+13:59", "2199-12-31T23:59:59+13:59"),
)
_MODES: dict[str, Headers] = {
    "without a content type": (),
    "with application/json": (("content-type", b"application/json"),),
    "with a content type of null": (("content-type", None),),
}


def accepted() -> Iterator[Input]:
    """Each with `reason` None."""
    yield from _every_type()
    yield from _spellings()
    yield from _values_at_their_bounds()
    yield from _headers_and_modes()
    yield from _frames()
    yield from _tombstones()


def _every_type() -> Iterator[Input]:
    for name, cls in EVENT_DATA.items():
        for number, example in enumerate(example_events(name), start=1):
            yield structured(f"{name}, example {number}", example)
        example = example_events(name)[-1]
        headers = (*attributes_of(example), ("content-type", b"application/json"))
        yield Input(f"{name}, binary mode", cls.aggregate, compact(example["data"]), headers, key=example["subject"])


def _spellings() -> Iterator[Input]:
    for spelling, spelt in _KEYS.items():
        ids = {"video_id": spelt(VIDEO), "user_id": spelt(USER)}
        yield structured(f"ids {spelling}", event_of("video.progressed", **ids))
        yield structured(f"subject {spelling}", event_of("video.progressed") | {"subject": spelt(VIDEO)})
    for time in _TIMES:
        yield structured(f"time {time}", event_of("video.processing") | {"time": time})
    created = event_of("video.created")
    yield structured("subject null", created | {"subject": None})
    yield structured(
        "no subject, no dataschema", {n: v for n, v in created.items() if n not in {"subject", "dataschema"}}
    )
    yield structured("dataschema null", created | {"dataschema": None})
    yield structured("a fact's subject is its video", event_of("model_usage.recorded") | {"subject": VIDEO})
    yield structured(
        "attributes of tracing", created | {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=b"}
    )
    yield structured("an attribute of a newer publisher", created | {"severity": 7})
    yield structured("a field of a newer publisher", event_of("video.created", mood={"of": ["the", "day"]}))
    yield structured("optional fields null", event_of("video.created", description=None, language=None))
    indented = json.dumps(created, indent=2).replace("\n", "\r\n").encode()
    yield Input("white space round and inside the JSON", "video", b" \t\r\n" + indented + b"\n")
    escaped = compact(event_of("video.created", title="caf\u00e9 \U0001f3ac")).decode()
    yield Input("characters as escapes", "video", json.dumps(json.loads(escaped)).encode())
    twice = compact(created).replace(b'"title":', b'"title":"first","title":')
    yield Input("a name twice: the last counts", "video", twice)


def _values_at_their_bounds() -> Iterator[Input]:
    texts: dict[str, Any] = {
        "of 200 characters": "é" * 200,
        "of 200 characters beyond 16 bits": "\U0001f3ac" * 200,
        "empty": "",
    }
    for which, title in texts.items():
        yield structured(f"title {which}", event_of("video.created", title=title))
    yield structured("title of a line break and controls", event_of("video.created", title="a\nb\x01\u2028\ufeff"))
    for version in (1, 2**53 + 1, 2**62 - 1):
        yield structured(f"version {version}", event_of("video.processing", version=version))
    for progress in (0, 100):
        yield structured(f"progress {progress}", event_of("video.progressed", progress=progress))
    yield structured("failed without a progress is at 0", event_of("video.failed", progress=None))
    largest = {"file_size": 2**63 - 1, "duration_seconds": 0, "processing_time": 1.5e300}
    yield structured("amounts at their bounds", event_of("video.completed", **largest))
    for cost in ("0", "0.000001", "999999.999999", "007.50"):
        yield structured(f"cost {cost}", event_of("model_usage.recorded", cost_usd=cost))
    for username in ("abc", "A_1" + "x" * 47):
        yield structured(f"username of {len(username)}", event_of("user.updated", username=username))
    preferences: dict[str, Any] = {"deep": json.loads("[" * 60 + "]" * 60), "": None, "é": [1.5, -(2**64), True]}
    yield structured("preferences of every kind", event_of("user.preferences_changed", preferences=preferences))
    yield structured("preferences empty", event_of("user.preferences_changed", preferences={}))


def _headers_and_modes() -> Iterator[Input]:
    example = event_of("video.created")
    data, attributes = compact(example["data"]), attributes_of(example)
    for which, content_type in _MODES.items():
        yield Input(f"binary mode {which}", "video", data, (*attributes, *content_type))
    upper = tuple((name.upper(), content) for name, content in attributes)
    yield Input("binary mode, names in upper case", "video", data, upper)
    shortest = tuple(pair for pair in attributes if pair[0] not in {"ce_subject", "ce_dataschema"})
    yield Input("binary mode, required attributes alone", "video", data, shortest)
    whole: Headers = (*attributes, ("content-type", b"application/cloudevents+json; charset=UTF-8"))
    yield Input("structured mode, with copies of attributes in headers", "video", compact(example), whole)
    yield Input("structured mode, copies in headers, no content type", "video", compact(example), attributes)
    strange: Headers = (("", b""), ("traceparent", b"\xff\xfe"), ("ce_extension", b"\xff"), ("x", None))
    yield Input("headers that say nothing to reelsync", "video", compact(example), strange)
    for topic in ("user", "model_usage"):
        yield Input(f"a video event on the topic of {topic}", topic, compact(example))
    yield Input("no key", "video", compact(example), key=None)
    yield Input("a key of another aggregate", "video", compact(example), key=str(UUID(int=7)))


def _frames() -> Iterator[Input]:
    example = event_of("video.completed")
    number, guid = b"\x00\x00\x01\x86\xa1", b"\x01" + UUID(USER).bytes
    yield Input("framed by a schema registry", "video", number + compact(example))
    yield Input("framed by a schema registry, with a GUID", "video", guid + compact(example))
    yield Input("schema id in a header", "video", compact(example), (("__value_schema_id", guid),))
    yield Input("framed data in binary mode", "video", number + compact(example["data"]), attributes_of(example))


def _tombstones() -> Iterator[Input]:
    for topic, key in (("user", USER), ("video", VIDEO)):
        yield Input(f"tombstone of a {topic}", topic, None, key=key)
        for spelling, spelt in _KEYS.items():
            yield Input(f"tombstone of a {topic}, key {spelling}", topic, None, key=spelt(key))
    yield Input("tombstone with headers of others", "video", None, (("traceparent", b"x"),), key=VIDEO)
    for which, timestamp in (("before 1970", -1), ("after 2200", 2**62)):
        yield Input(f"tombstone with a timestamp {which}", "video", None, key=VIDEO, timestamp=timestamp)
