"""The fast form of the contract: the rules of the models, but the result is plain dicts.

Each validator is derived from the core schema of its model, so that an event has one definition. A dict costs a third
less than a model to build, and both the fold and the JSON encoder need dicts.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, cast

from pydantic import BaseModel
from pydantic_core import CoreConfig, CoreSchema, SchemaValidator, core_schema

from .contract import ENVELOPES, EVENT_DATA, CloudEvent, EventType
from .tombstones import ErasureType, Tombstone

RowChangeType = Literal[
    "user.row_changed",
    "video.row_changed",
    "user.row_deleted",
    "video.row_deleted",
    "user.row_tombstone",
    "video.row_tombstone",
]
"""The types of the events that row changes become (`.debezium`). They are not in the contract: no publisher can send
them.
"""

STRICT = CoreConfig(strict=True, hide_input_in_errors=True, allow_inf_nan=False, cache_strings="keys")
"""Strings are not cached: most are ids, which seldom come again soon."""


class WireEvent(TypedDict):
    """A validated event. `data` holds every field of the type, defaults filled in; ids are canonical."""

    id: str
    source: str
    specversion: str
    type: EventType | ErasureType | RowChangeType
    time: Any
    subject: str | None
    dataschema: str | None
    data: dict[str, Any]


def _fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """The fields of the model's core schema.

    Raises:
        TypeError: the schema holds more than fields: a dict form would lose its other rules. An envelope's one
            other rule is `check_subject`, which the parser calls.
    """
    schema: Any = model.__pydantic_core_schema__
    unwrapped = {"model", "function-after"} if issubclass(model, CloudEvent) else {"model"}
    while schema["type"] in unwrapped:
        schema = schema["schema"]
    if schema["type"] != "model-fields":
        message = f"{model.__name__} has a core schema of type {schema['type']}: no dict form can be derived from it"
        raise TypeError(message)
    return cast("dict[str, Any]", schema["fields"])


def typed_dict(schemas: Mapping[str, CoreSchema]) -> CoreSchema:
    """A plain dict with these members. Those with a default may be left out, and unknown members are ignored."""
    fields = {
        name: core_schema.typed_dict_field(schema, required=schema["type"] != "default")
        for name, schema in schemas.items()
    }
    # Nested schemas do not inherit strictness: each must state it.
    return core_schema.typed_dict_schema(fields, extra_behavior="ignore", config=STRICT)


def schemas_of(model: type[BaseModel]) -> dict[str, CoreSchema]:
    """The core schema of each field of a model."""
    return {name: field["schema"] for name, field in _fields_of(model).items()}


def _by_type(schemas: Mapping[EventType, CoreSchema]) -> SchemaValidator:
    return SchemaValidator(core_schema.tagged_union_schema(dict(schemas), discriminator="type"), STRICT)


_DATA = {name: typed_dict(schemas_of(cls)) for name, cls in EVENT_DATA.items()}
_STRUCTURED = _by_type({n: typed_dict({**schemas_of(cls), "data": _DATA[n]}) for n, cls in ENVELOPES.items()})
_ATTRIBUTES = _by_type(
    {n: typed_dict({k: v for k, v in schemas_of(c).items() if k != "data"}) for n, c in ENVELOPES.items()}
)
_DATA_BY_TYPE = {name: SchemaValidator(schema, STRICT) for name, schema in _DATA.items()}


def validate_structured(value: bytes) -> WireEvent:
    """The event in `value`, structured mode.

    Raises:
        pydantic_core.ValidationError: it is not valid.
    """
    event: WireEvent = _STRUCTURED.validate_json(value)
    return event


def validate_attributes(attributes: Mapping[str, str]) -> WireEvent:
    """The context attributes of binary mode, as an event that still lacks its data.

    Raises:
        pydantic_core.ValidationError: they are not valid.
    """
    return cast("WireEvent", _ATTRIBUTES.validate_python(dict(attributes)))


def validate_data(event_type: EventType, value: bytes) -> dict[str, Any]:
    """The data of one event, binary mode.

    Raises:
        pydantic_core.ValidationError: it is not valid.
    """
    return cast("dict[str, Any]", _DATA_BY_TYPE[event_type].validate_json(value))


def erasure_event(erased: Tombstone, *, event_id: str, source: str) -> WireEvent:
    """The event that a tombstone, or the removal of a row, becomes."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": "user.tombstone" if erased.aggregate == "user" else "video.tombstone",
        "time": erased.time,
        "subject": None,
        "dataschema": None,
        "data": {f"{erased.aggregate}_id": erased.aggregate_id, "version": erased.version},
    }
