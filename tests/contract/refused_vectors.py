"""Records that are no events of the contract: every kind of mistake, each by itself."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.contract.vector_records import USER, VIDEO, Headers, Input, attributes_of, compact, event_of, structured

invalid = partial(structured, reason="invalid")
_INTEGER = "JSON Schema takes 1.0 and 1e1 for integers; reelsync takes integers written without fraction or exponent"
_CALENDAR = "a pattern does not know the calendar"
_OFFSET = "a pattern does not add the offset to the time"
_SURROGATE = "JSON Schema is about texts, and a lone surrogate is none: parsers of JSON differ"
_INFINITE = "JSON Schema has no bound for what double precision holds"
_NUMBERS = "JSON Schema has no bound for numbers inside preferences"
_INSIDE = "the schema does not look into preferences"


def refused() -> Iterator[Input]:
    """Each with its reason."""
    yield from _not_json()
    yield from _not_an_event()
    yield from _attributes()
    yield from _times()
    yield from _ids_and_versions()
    yield from _fields()
    yield from _preferences()
    yield from _binary_mode()
    yield from _null_values()


def _not_json() -> Iterator[Input]:
    whole = compact(event_of("video.created"))
    values = {
        "empty value": b"",
        "not JSON": b"\x89PNG\r\n\x1a\n",
        "truncated JSON": whole[: len(whole) // 2],
        "two documents": whole + whole,
        "a byte order mark before the JSON": b"\xef\xbb\xbf" + whole,
        "UTF-16": whole.decode().encode("utf-16"),
        "not UTF-8": whole.replace(b"A tour", b"A \xfftour"),
        "a comma too many": whole[:-1] + b",}",
        "a comment": b"/* an event */" + whole,
        "single quotes": whole.replace(b'"', b"'"),
        "a raw line break in a text": whole.replace(b"A tour", b"A\ntour"),
        "JSON too deep": whole.replace(b'"data":', b'"x":' + b"[" * 1_000 + b"]" * 1_000 + b',"data":'),
        "Avro in a schema registry's frame": b"\x00\x00\x00\x00\x07\x0cA tour",
        "Protobuf in a schema registry's frame": b"\x00\x00\x00\x00\x07\x00\x0a\x06A tour",
        "a frame round nothing": b"\x00\x00\x00\x00\x07",
    }
    for name, value in values.items():
        yield Input(name, "video", value, reason="not_json")
    avro: Headers = (("__value_schema_id", b"\x01" + bytes(range(16))),)
    yield Input("Avro, schema id in a header", "video", b"\x0cA tour", avro, reason="not_json")
    for literal in ("NaN", "Infinity"):
        value = whole.replace(b'"version":1', b'"version":' + literal.encode())
        yield Input(f"version {literal}", "video", value, reason="invalid", path="data.version")
    surrogate = whole.replace(b"A tour", b"\\ud800 tour")
    yield Input("a lone surrogate", "video", surrogate, reason="not_json", beyond_schema=_SURROGATE)
    limit = "how long a value may be is a setting"
    yield Input("value too large", "video", whole, reason="too_large", max_value_bytes=100, beyond_schema=limit)


def _not_an_event() -> Iterator[Input]:
    for value in (b"[]", b"null", b"7", b'"video.created"', b'[{"type":"video.created"}]'):
        yield Input(f"JSON, but no object: {value.decode()}", "video", value, reason="not_an_event")
    yield Input("an empty object", "video", b"{}", reason="not_an_event", path="type")
    created = event_of("video.created")
    without_type = {name: value for name, value in created.items() if name != "type"}
    yield structured("no type", without_type, reason="not_an_event", path="type")
    yield structured("type null", created | {"type": None}, reason="not_an_event", path="type")
    yield Input("data without attributes", "video", compact(created["data"]), reason="not_an_event", path="type")
    hyphens = tuple((name.replace("_", "-"), content) for name, content in attributes_of(created))
    value = compact(created["data"])
    yield Input("headers of another binding, ce-type", "video", value, hyphens, reason="not_an_event", path="type")
    for strange in ("video.exploded", "Video.created", "video.created ", "", "user.tombstone", 7, ["video.created"]):
        document = created | {"type": strange}
        yield structured(f"type {strange!r}", document, reason="unknown_type", path="type")


def _attributes() -> Iterator[Input]:
    created = event_of("video.created")
    for name in ("specversion", "id", "source", "time", "data"):
        document = {attribute: value for attribute, value in created.items() if attribute != name}
        yield invalid(f"no {name}", document, path=name)
    for name, values in {
        "specversion": ("0.3", "1.1", 1.0, None),
        "id": ("", None, 7),
        "source": ("", None),
        "data": (None, [], "{}"),
        "subject": ("video-17", 7, ""),
    }.items():
        for value in values:
            yield invalid(f"{name} {value!r}", created | {name: value}, path=name)
    of_another = "JSON Schema does not compare two members"
    for event_type in ("video.created", "user.created", "model_usage.recorded"):
        document = event_of(event_type) | {"subject": "00000000-0000-4000-8000-000000000000"}  # type: ignore[arg-type]
        yield invalid(f"subject of another, {event_type}", document, path="subject", beyond_schema=of_another)
    for urn in ("urn:reelsync:video.created:2", "urn:reelsync:video.updated:1", "urn:reelsync:video.created", "", 1):
        document = created | {"dataschema": urn}
        yield structured(f"dataschema {urn!r}", document, reason="unknown_schema", path="dataschema")


def _times() -> Iterator[Input]:
    said: dict[Any, str | None] = {
        "2026-01-05T10:00:00": None,
        "2026-01-05": None,
        "1767607200": None,
        1_767_607_200: None,
        None: None,
        "": None,
        "20260105T100000Z": None,
        "2026-01-05T10:00Z": None,
        "Mon, 05 Jan 2026 10:00:00 GMT": None,
        "2026-02-29T10:00:00Z": _CALENDAR,
        "2026-04-31T10:00:00Z": _CALENDAR,
        "2026-13-01T10:00:00Z": _CALENDAR,
        "2026-01-05T25:00:00Z": _CALENDAR,
        "1969-12-31T23:59:59Z": _OFFSET,
        "1970-01-01T00:00:00+01:00": _OFFSET,
        "2200-01-01T00:00:01Z": _OFFSET,
        "2199-12-31T23:59:59-14:00": _OFFSET,
        "9999-12-31T23:59:59Z": _OFFSET,
    }
    for time, beyond in said.items():
        document = event_of("video.processing") | {"time": time}
        yield invalid(f"time {time!r}", document, path="time", beyond_schema=beyond)


def _ids_and_versions() -> Iterator[Input]:
    ids = (
        "video-17",
        VIDEO[:-1],
        VIDEO + "0",
        f"{{{VIDEO}}}",
        f"urn:uuid:{VIDEO}",
        VIDEO.replace("-", "_"),
        VIDEO + "\n",
    )
    for wrong in (*ids, 17, None, ""):
        document = event_of("video.processing", video_id=wrong) | {"subject": None}
        yield invalid(f"video_id {wrong!r}", document, path="data.video_id")
    mixed = f"{VIDEO[:8]}{VIDEO[9:]}"
    yield invalid("user_id with a dash missing", event_of("video.processing", user_id=mixed), path="data.user_id")
    for version in (0, -1, 2**62, 2**63, 2**64, 10**400, "7", True, None, [1], 1.5):
        shown = "10^400" if version == 10**400 else repr(version)
        yield invalid(f"version {shown}", event_of("video.processing", version=version), path="data.version")
    whole = compact(event_of("video.processing", version=1))
    for literal in ("1.0", "1e0"):
        value = whole.replace(b'"version":1', f'"version":{literal}'.encode())
        yield Input(f"version {literal}", "video", value, reason="invalid", path="data.version", beyond_schema=_INTEGER)


def _fields() -> Iterator[Input]:
    for event_type, field in (
        *(("video.created", "title"), ("video.created", "user_id"), ("video.progressed", "progress")),
        *(("video.completed", "file_size"), ("video.failed", "error_code"), ("user.updated", "username")),
        *(("user.preferences_changed", "preferences"), ("model_usage.recorded", "model_name")),
    ):
        document: Any = event_of(event_type)
        data = {name: value for name, value in document["data"].items() if name != field}
        yield invalid(f"{event_type} without {field}", document | {"data": data}, path=f"data.{field}")
    for event_type, field, values in (
        ("video.created", "title", ("x" * 201, "\U0001f3ac" * 201, "a\x00b", None, 7, ["A tour"])),
        ("video.created", "language", ("x" * 36,)),
        ("video.progressed", "progress", (-1, 101, 50.5, "50", None)),
        ("video.completed", "file_size", (-1, 2**63, "1", None)),
        ("video.completed", "duration_seconds", (-0.5, "12", None, True)),
        ("video.failed", "error_code", ("x" * 101, None)),
        ("user.created", "username", ("ab", "x" * 51, "no spaces", "café", "abc\n", "abc-d")),
        ("user.created", "email", ("x" * 101, None)),
        ("user.created", "is_active", ("true", 1, None)),
        ("model_usage.recorded", "cost_usd", (0.5, "0.1234567", "1234567", "-1", "1e3", ".5", "1.", "1,5", "", "٣")),
        ("model_usage.recorded", "input_units", (-1, 1.5, "3")),
    ):
        for value in values:
            shown = repr(value) if len(repr(value)) < 30 else f"of {len(value)} characters, from {value[0]}"  # type: ignore[arg-type]
            yield invalid(f"{field} {shown}", event_of(event_type, **{field: value}), path=f"data.{field}")  # type: ignore[arg-type]
    for literal, beyond in ((b"1e999", _INFINITE), (b"-1e999", None)):
        value = compact(event_of("video.completed")).replace(b'"processing_time":41.2', b'"processing_time":' + literal)
        name, path = f"processing_time {literal.decode()}", "data.processing_time"
        yield Input(name, "video", value, reason="invalid", path=path, beyond_schema=beyond)


def _preferences() -> Iterator[Input]:
    for wrong in ([1, 2], "{}", None, 7):
        document = event_of("user.preferences_changed", preferences=wrong)
        yield invalid(f"preferences {wrong!r}", document, path="data.preferences")
    whole = compact(event_of("user.preferences_changed", preferences={}))
    for name, preferences, beyond in (
        ("NUL inside preferences", b'{"deep":[{"er":"\\u0000"}]}', _INSIDE),
        ("NUL in a name of preferences", b'{"\\u0000":1}', _INSIDE),
        ("preferences too deep", b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", _INSIDE),
        ("preferences too long", b'{"a":"' + b"x" * 65_536 + b'"}', _INSIDE),
        ("a number beyond double in preferences", b'{"a":[1e999]}', _NUMBERS),
        ("an integer beyond double in preferences", b'{"a":1' + b"0" * 400 + b"}", _NUMBERS),
    ):
        value = whole.replace(b'"preferences":{}', b'"preferences":' + preferences)
        yield Input(name, "user", value, reason="invalid", path="data.preferences", beyond_schema=beyond)


def _binary_mode() -> Iterator[Input]:
    example = event_of("video.created")
    data, attributes = compact(example["data"]), attributes_of(example)
    for missing in ("ce_specversion", "ce_id", "ce_source", "ce_time"):
        rest = tuple(pair for pair in attributes if pair[0] != missing)
        yield Input(f"binary mode without {missing}", "video", data, rest, reason="invalid", path=missing)
    untyped = tuple(pair for pair in attributes if pair[0] != "ce_type")
    yield Input("binary mode without ce_type", "video", data, untyped, reason="not_an_event", path="type")
    for name, content, reason in (
        ("ce_time", b"yesterday", "invalid"),
        ("ce_id", b"", "invalid"),
        ("ce_id", b"\xff", "invalid"),
        ("ce_type", b"\xff", "invalid"),
        ("ce_type", b"video.exploded", "unknown_type"),
        ("ce_subject", b"video-17", "invalid"),
        ("ce_dataschema", b"urn:reelsync:video.created:2", "unknown_schema"),
    ):
        changed = tuple((own, content if own == name else old) for own, old in attributes)
        path = {"unknown_type": "type", "unknown_schema": "dataschema"}.get(reason, name)
        yield Input(f"binary mode, {name} {content!r}", "video", data, changed, reason=reason, path=path)
    none = tuple((name, None if name == "ce_id" else content) for name, content in attributes)
    yield Input("binary mode, ce_id null", "video", data, none, reason="invalid", path="ce_id")
    yield Input("binary mode, value not JSON", "video", b"title=A tour", attributes, reason="not_json")
    yield Input("binary mode, value no object", "video", b"[]", attributes, reason="invalid", path="data")
    untitled = compact({name: value for name, value in example["data"].items() if name != "title"})
    yield Input("binary mode, no title", "video", untitled, attributes, reason="invalid", path="data.title")
    json: Headers = (*attributes, ("content-type", b"application/json"))
    yield Input("a whole event in binary mode", "video", compact(example), json, reason="invalid", path="data.video_id")
    whole: Headers = (*attributes, ("content-type", b"application/cloudevents+json"))
    yield Input("data alone in structured mode", "video", data, whole, reason="not_an_event", path="type")
    many: Headers = (("content-type", b"application/cloudevents-batch+json"),)
    yield Input("a batch of CloudEvents", "video", b"[" + compact(example) + b"]", many, reason="not_an_event")


def _null_values() -> Iterator[Input]:
    bad = partial(Input, value=None, reason="bad_tombstone")
    yield bad("tombstone of a fact", "model_usage", path="topic")
    yield bad("tombstone without a key", "video", key=None, path="key")
    for key in (
        b"",
        b"somebody",
        b"\xff",
        USER.encode() + b"\n",
        b'"' + USER.encode() + b'"',
        f'{{"id":"{USER}"}}'.encode(),
    ):
        yield bad(f"tombstone with the key {key!r}", "user", key=key, path="key")
    attributes = attributes_of(event_of("video.deleted"))
    yield bad("a null value with ce_ headers", "video", headers=attributes, path="ce_headers")
