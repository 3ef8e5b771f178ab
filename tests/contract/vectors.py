"""The vectors of the contract: records, the verdict on each, and what an accepted one sets. `make schema` writes them.

The facets are worked out by the oracle, which shares no code with the consumer's projections; test_vectors.py sees that
both say the same.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from jsonschema import Draft202012Validator, ValidationError, validators

from reelsync.consumer.operations.verify.reference import Oracle
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.events import EVENT_DATA, TOPICS, is_binary
from reelsync.events.contract_files import SCHEMA_DIRECTORY
from reelsync.events.json_schema import SIDES, Side, event_schema
from reelsync.events.publishing.encoding import MAX_VALUE_BYTES
from reelsync.events.registry_frame import registry_frame
from tests.contract.accepted_vectors import accepted
from tests.contract.refused_vectors import refused
from tests.contract.vector_records import Input
from tests.support.builders import record
from tests.support.decoding import decode

FILE = SCHEMA_DIRECTORY / "vectors.jsonl"
Json = dict[str, Any]


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    """ECMA 262's `$` is the end; Python's also stands before a last line break."""
    if isinstance(instance, str) and re.search(pattern.replace("$", r"\Z"), instance, re.ASCII) is None:
        yield ValidationError("does not match")


Validator: Any = validators.extend(Draft202012Validator, {"pattern": _pattern})
_SCHEMAS: dict[tuple[str, Side], Any] = {
    (name, side): Validator(event_schema(name, side)) for name in EVENT_DATA for side in SIDES
}


def vectors() -> list[Json]:
    """All of them, in the order of the file."""
    return [vector_of(given) for given in (*accepted(), *refused())]


def vector_of(given: Input) -> Json:
    """One line of the file."""
    made: Json = {"name": given.name, "topic": given.topic, "key": _text(given.key_bytes)}
    made["headers"] = [[name, _text(content)] for name, content in given.headers]
    made |= {"value": _text(given.value), "timestamp": given.timestamp}
    if given.max_value_bytes:
        made["max_value_bytes"] = given.max_value_bytes
    made |= _what_schemas_say(given)
    if given.beyond_schema:
        made["beyond_schema"] = given.beyond_schema
    if given.reason:
        return made | {"verdict": "dead letter", "reason": given.reason, "path": given.path}
    return made | {"verdict": "accepted"} | _what_it_sets(given)


def decoded(given: Input) -> Any:
    """The consumer's verdict."""
    fields = {"topic": TOPICS[given.topic], "key": given.key_bytes, "timestamp": given.timestamp}
    limit = given.max_value_bytes or MAX_VALUE_BYTES
    return decode(record(given.value, headers=given.headers, **fields), DEFAULT_TOPICS, limit)


def event_in(given: Input) -> Any:
    """The document that a schema is about: the value, or in binary mode what headers and value make. None if none."""
    value = given.value
    try:
        if value is None:
            return None
        framed = registry_frame(value, given.headers)
        value = framed.content if framed else value
        document = json.loads(value.decode())
        if not is_binary(value, given.headers):
            return document if isinstance(document, dict) else None
        return _attributes(given) | {"data": document}
    except (ValueError, RecursionError):
        return None


def _attributes(given: Input) -> Json:
    named = [(name.lower(), content) for name, content in given.headers if content is not None]
    return {name.removeprefix("ce_"): content.decode() for name, content in named if name.startswith("ce_")}


def _what_schemas_say(given: Input) -> Json:
    # How deep a JSON may be nested before Python refuses it depends on Python's version.
    document = event_in(given) if given.reason != "not_json" or given.beyond_schema else None
    event_type = document.get("type") if document else None
    if not isinstance(event_type, str) or event_type not in EVENT_DATA:
        return {}
    return {"schemas": {side: _SCHEMAS[event_type, side].is_valid(document) for side in SIDES}}


def _what_it_sets(given: Input) -> Json:
    event = decoded(given)
    if isinstance(event, Rejection):
        raise ValueError(f"{given.name} is not accepted: {event.detail}")  # noqa: TRY004 - of the content
    oracle = Oracle()
    oracle.add(event["type"], event["time"], event["data"])
    changes = [change for table in oracle.changes.values() for of_row in table.values() for change in of_row]
    facets = {facet: columns for change in changes for facet, columns in change.facets.items()}
    facts = [fact for heard in oracle.facts.values() for fact in heard]
    data = event["data"]
    own = data.get("usage_id") or data.get("video_id") or data["user_id"]
    version = {"version": data["version"]} if "version" in data else {}
    set_by_it = {"fact": facts[0]} if facts else {**version, "facets": facets}
    found: Json = plain({"type": event["type"], "aggregate_id": own, "time": event["time"], **set_by_it})
    return found


def plain(value: Any) -> Any:
    """As JSON has it: times in UTC to the microsecond, decimals as text."""
    match value:
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case UUID() | Decimal():
            return str(value)
    return value


def _text(content: bytes | None) -> str | Json | None:
    """Bytes as text where they are UTF-8, in base64 where not."""
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def lines() -> str:
    """The file's text."""
    return "".join(json.dumps(vector, ensure_ascii=True) + "\n" for vector in vectors())


if __name__ == "__main__":
    FILE.write_text(lines(), encoding="utf-8")
