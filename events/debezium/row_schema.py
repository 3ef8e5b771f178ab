"""Row changes in one pass: a schema that takes the needed members out of an envelope and validates them.

It is derived from the facets of `columns`, so that a column has one rule. It accepts inserts, updates and rows of a
snapshot in the form in which Debezium writes nearly all of them. `envelopes` reads what it does not accept, or says
what is wrong with it.
"""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, cast

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from ..fields import Id, Version
from ..wire import STRICT
from .columns import FACETS, nullable_time, rule_of
from .connect_json import TICKS_PER_SECOND
from .rows import set_progress
from .topics import RowChangeTopic

_WITH_SCHEMA = b'{"schema":'
_NUMBERS_FOR_TIMES = [f'"{name}"'.encode() for name in TICKS_PER_SECOND]
"""The metadata of a schema in which a column's times are numbers; only `envelopes` knows their unit."""
_POSITION = {name: core_schema.nullable_schema(core_schema.int_schema()) for name in ("lsn", "pos", "row")}
_TIMES = {name: core_schema.nullable_schema(core_schema.int_schema()) for name in ("ts_us", "ts_ms")}
_SOURCE = {"file": core_schema.nullable_schema(core_schema.str_schema())} | _POSITION | _TIMES


class _Columns(NamedTuple):
    """The columns of a facet: those that a row may leave out, and those that it must have if it has any."""

    number: int
    required: AbstractSet[str]
    defaults: Mapping[str, Any]

    @classmethod
    def of(cls, schemas: Mapping[str, CoreSchema]) -> Self:
        defaults = {name: schema["default"] for name, schema in schemas.items() if schema["type"] == "default"}
        return cls(len(schemas), schemas.keys() - defaults.keys(), defaults)


class RowPicker:
    """Reads the changes of one topic."""

    def __init__(self, topic: RowChangeTopic) -> None:
        self._facets = [(name, _Columns.of(schemas)) for name, schemas in FACETS[topic.aggregate].items()]
        unavailable = topic.unavailable_value
        # As it is, and as JSON may escape it.
        self._unavailable = {unavailable.encode(), json.dumps(unavailable)[1:-1].encode()}
        renamed = cast("Mapping[str, str]", topic.columns)
        self._plain, self._with_schema = _validators(topic.aggregate, topic.version, tuple(sorted(renamed.items())))

    def pick(self, value: bytes) -> dict[str, Any] | None:
        """The needed members of a change, validated: `op`, `source`, ids, `version`, `created_at` and `facets`.

        None if the value is not such a change, not valid, or in a form that only `envelopes` reads.
        """
        if any(unavailable in value for unavailable in self._unavailable):
            return None
        try:
            if value.startswith(_WITH_SCHEMA):
                if any(name in value for name in _NUMBERS_FOR_TIMES):
                    return None
                picked = self._with_schema.validate_json(value)["payload"]
            else:
                picked = self._plain.validate_json(value)
        except ValidationError:
            return None
        picked["facets"] = facets = {}
        for facet, columns in self._facets:
            carried = picked[facet]
            if len(carried) < columns.number:
                if not carried:
                    continue
                if not columns.required <= carried.keys():
                    return None
                carried = columns.defaults | carried
            facets[facet] = carried
        set_progress(facets)
        return cast("dict[str, Any]", picked)


@lru_cache(maxsize=64)
def _validators(
    aggregate: Literal["user", "video"], version: str, columns: tuple[tuple[str, str], ...]
) -> tuple[SchemaValidator, SchemaValidator]:
    """Two validators: for the envelope, and for the envelope beside its schema."""
    names = dict(columns)
    version_at = version.split(".") if version.startswith("source.") else ["after", version]
    fields = {
        "op": _member(core_schema.literal_schema(["c", "r", "u"])),
        "source": _member(_object({name: _member(schema, required=False) for name, schema in _SOURCE.items()})),
        "version": _member(rule_of(Version), *version_at),
        f"{aggregate}_id": _member(rule_of(Id), "after", names.get("id", "id")),
        "created_at": _member(nullable_time(), "after", names.get("created_at", "created_at"), required=False),
    }
    if aggregate == "video":
        fields["user_id"] = _member(rule_of(Id), "after", names.get("user_id", "user_id"))
    for facet, schemas in FACETS[aggregate].items():
        carried = {name: _member(_given(rule), names.get(name, name), required=False) for name, rule in schemas.items()}
        fields[facet] = _member(_object(carried), "after")
    envelope = _object(fields)
    beside_schema = _object({"schema": _member(_object({})), "payload": _member(envelope)}, others="forbid")
    return SchemaValidator(envelope, STRICT), SchemaValidator(beside_schema, STRICT)


def _given(rule: CoreSchema) -> CoreSchema:
    """The rule of a value that is not NULL."""
    return rule["schema"] if rule["type"] == "default" else rule


def _object(fields: dict[str, Any], others: Literal["ignore", "forbid"] = "ignore") -> CoreSchema:
    return core_schema.typed_dict_schema(fields, extra_behavior=others, config=STRICT)


def _member(schema: CoreSchema, *place: str, required: bool = True) -> core_schema.TypedDictField:
    """A member, and the path to it if it does not have its own name."""
    return core_schema.typed_dict_field(
        schema, required=required, validation_alias=cast("list[str | int]", [*place]) or None
    )
