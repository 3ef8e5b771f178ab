"""JSON Schema 2020-12 of the events, derived from the models.

Each type has two schemas. A writer's is closed: it refuses a field that the contract does not have, so that a typing
error shows before the event is sent, and it demands the canonical form of ids and times. A reader's is open: it accepts
whatever `parse_event` accepts, including fields of a newer publisher. So this version reads everything that the
writer's schema allows, and everything that it reads passes the reader's schema. docs/events.md lists what JSON Schema
cannot express.
"""

from typing import Any, Literal, get_args

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from .contract import ENVELOPES, EVENT_DATA, EventType, dataschema_of
from .examples import EXAMPLES

Side = Literal["writer", "reader"]
SIDES: tuple[Side, ...] = get_args(Side)
JsonObject = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MODES: dict[Side, JsonSchemaMode] = {"writer": "serialization", "reader": "validation"}
_TEXT: JsonObject = {"type": "string", "minLength": 1, "pattern": "^[^\\x00]*$"}
_EXTENSIONS: JsonObject = {
    "datacontenttype": {"type": "string", "const": "application/json"},
    "traceparent": _TEXT | {"description": "W3C Trace Context of what made the event. Not stored."},
    "tracestate": _TEXT | {"description": "The same, of its vendors. Not stored."},
}
"""Attributes that CloudEvents defines and reelsync ignores. A writer's schema must list them, because it is closed."""
_DESCRIPTIONS: JsonObject = {
    "id": "Unique for its source. An event that is sent again keeps it.",
    "source": "Who publishes, such as `/render/eu-1`.",
    "time": "When it happened: RFC 3339 with an offset, from 1970 to 2200, kept to microseconds.",
    "subject": "The aggregate's id, like the record's key. May be left out.",
    "dataschema": "Names type and version of the data. Version 1 when it is left out.",
}


class _Plain(GenerateJsonSchema):
    """Pydantic's generator, without the titles that it makes from names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - Pydantic's signature
        return False


def data_schema(event_type: EventType, side: Side) -> JsonObject:
    """The schema of the data alone, which is the value of a record in binary mode."""
    schema = EVENT_DATA[event_type].model_json_schema(mode=_MODES[side], schema_generator=_Plain)
    return schema | {"title": event_type, "additionalProperties": side == "reader"}


def event_schema(event_type: EventType, side: Side) -> JsonObject:
    """The schema of the whole event, which is the value of a record in structured mode; `data` is `data_schema`."""
    envelope = ENVELOPES[event_type].model_json_schema(mode=_MODES[side], schema_generator=_Plain)
    attributes: JsonObject = envelope["properties"] | {"data": data_schema(event_type, side)}
    for name, description in _DESCRIPTIONS.items():
        attributes[name] = attributes[name] | {"description": description}
    if side == "writer":
        attributes |= _EXTENSIONS
    return {
        "$schema": DIALECT,
        "$id": f"{dataschema_of(event_type, EVENT_DATA[event_type].schema_version)}:{side}",
        "title": event_type,
        "description": envelope["description"],
        "type": "object",
        "properties": attributes,
        "required": envelope["required"],
        "additionalProperties": side == "reader",
        "examples": example_events(event_type),
    }


def example_data(event_type: EventType) -> list[JsonObject]:
    """The examples of a type's data, the smallest first."""
    return [example.model_dump(mode="json", exclude_unset=True) for example in EXAMPLES[event_type]]


def example_events(event_type: EventType) -> list[JsonObject]:
    """The examples of a type as whole events, the smallest first."""
    return [
        {
            "specversion": "1.0",
            "id": f"01JGX2{EVENT_DATA[event_type].__name__.upper()}{number}",
            "source": f"/{_publisher(event_type)}/eu-1",
            "type": event_type,
            "time": f"2026-01-05T10:0{number}:00Z",
            "subject": data.get("usage_id") or data.get("video_id") or data["user_id"],
            "dataschema": dataschema_of(event_type, EVENT_DATA[event_type].schema_version),
            "data": data,
        }
        for number, data in enumerate(example_data(event_type), start=1)
    ]


def _publisher(event_type: EventType) -> str:
    return {"user": "accounts", "video": "render", "model_usage": "billing"}[EVENT_DATA[event_type].aggregate]
