"""The types that event fields are made of: each refuses what PostgreSQL would refuse.

A type is a core schema of its own, so that the models and the fast form (`.wire`) check the very same rules.
Bounds that Pydantic does not have by default, and why they are here: NUL characters (SQLSTATE 22021), numeric strings
taken for times, and times outside 1970-2200. Times are brought to UTC, for PostgreSQL refuses offsets of 16 hours and
more (22009). JSON objects have their bounds in `.json_objects`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_BIGINT = 2**63 - 1
MAX_VERSION = 2**62 - 1
"""Versions of 2^62 and above belong to erasures (`.tombstones`)."""
EARLIEST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_TIME = datetime(2200, 1, 1, tzinfo=UTC)

_CANONICAL_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_UUID_SPELLINGS = "[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_ANY_UUID = re.compile(_UUID_SPELLINGS, re.ASCII)
_RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_PLAIN_UTC = (
    r"^(19[7-9][0-9]|20[0-9]{2}|21[0-9]{2})-[0-9]{2}-[0-9]{2}"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+]00:00)$"
)
_WRITTEN_TIME = (
    "^((197[1-9]|19[89][0-9]|20[0-9]{2}|21[0-9]{2})"
    "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|(197[26]|198[048]|199[26]|20[02468][048]|20[13579][26]|210[48]|21[2468][048]|21[13579][26])-02-29)"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""The form in which publishers should write times. The year is within the bounds, whatever the offset, and 29 February
exists in leap years only (2100 is none).
"""
_NO_NUL = r"^[^\x00]*$"

JsonSchema = dict[str, Any]


def canonical_id(value: str | UUID) -> str:
    """The canonical form of an id, lower case with dashes, from 32 hex digits with or without dashes.

    Raises:
        PydanticCustomError: `value` is not such an id.
    """
    text = str(value)
    if _ANY_UUID.fullmatch(text) is None:
        raise PydanticCustomError("id_format", "must be a UUID: 32 hex digits, with or without dashes")
    digits = text.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True)
class _Id:
    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        canonical = core_schema.str_schema(pattern=_CANONICAL_UUID, strict=True)
        any_form = core_schema.no_info_after_validator_function(canonical_id, core_schema.str_schema(strict=True))
        from_json = core_schema.union_schema([canonical, any_form], mode="left_to_right")
        from_python = core_schema.union_schema(
            [
                core_schema.no_info_after_validator_function(canonical_id, core_schema.is_instance_schema(UUID)),
                any_form,
            ],
            mode="left_to_right",
        )
        return _with_one_error(
            core_schema.json_or_python_schema(from_json, from_python),
            "id_format",
            "must be a UUID: 32 hex digits, with or without dashes",
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return _spelt(handler, written=_CANONICAL_UUID, also_read=f"^({_UUID_SPELLINGS})$")


def _in_utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


@dataclass(frozen=True)
class _Time:
    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        instant = core_schema.datetime_schema(
            ge=EARLIEST_TIME, le=LATEST_TIME, tz_constraint="aware", microseconds_precision="truncate", strict=False
        )
        # The offset is not part of the instant, and PostgreSQL accepts none of 16 hours or more. Times of the standard
        # library's UTC also compare ten times as fast as Pydantic's, which the fold does for every event.
        in_utc = core_schema.no_info_after_validator_function(_in_utc, instant)
        # A string of digits is a Unix time to Pydantic, strict or not: the pattern must come first.
        any_form = core_schema.chain_schema([core_schema.str_schema(pattern=_RFC3339, strict=True), in_utc])
        # The forms that most publishers write.
        utc = core_schema.no_info_after_validator_function(
            datetime.fromisoformat, core_schema.str_schema(pattern=_PLAIN_UTC, strict=True)
        )
        text = core_schema.union_schema([utc, any_form], mode="left_to_right")
        from_python = core_schema.union_schema(
            [core_schema.chain_schema([core_schema.is_instance_schema(datetime), in_utc]), text],
            mode="left_to_right",
        )
        return _with_one_error(
            core_schema.json_or_python_schema(text, from_python),
            "time_format",
            "must be an RFC 3339 time with an offset, from 1970 to 2200, and not a leap second (:60)",
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        return _spelt(handler, written=_WRITTEN_TIME, also_read=_RFC3339)


@dataclass(frozen=True)
class Text:
    """Text of at most `longest` characters, as `varchar` counts them, without NUL."""

    longest: int | None = None
    shortest: int = 0
    pattern: str = _NO_NUL

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(
            max_length=self.longest, min_length=self.shortest or None, pattern=self.pattern, strict=True
        )


@dataclass(frozen=True)
class _Integer:
    least: int
    most: int

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.int_schema(ge=self.least, le=self.most, strict=True)


@dataclass(frozen=True)
class _Amount:
    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.float_schema(ge=0, allow_inf_nan=False, strict=True)


@dataclass(frozen=True)
class _Money:
    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?$", strict=True)
        plain = core_schema.no_info_after_validator_function(
            "{:f}".format, core_schema.is_instance_schema(Decimal), metadata={"from": "Decimal"}
        )
        from_python = core_schema.union_schema([core_schema.chain_schema([plain, text]), text], mode="left_to_right")
        return core_schema.json_or_python_schema(text, from_python)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,6})?$"}


def _spelt(handler: GetJsonSchemaHandler, *, written: str, also_read: str) -> JsonSchema:
    """Text that writers must spell in one way, while readers accept others: the two modes of Pydantic's JSON Schema."""
    one: JsonSchema = {"type": "string", "pattern": written}
    return one if handler.mode == "serialization" else {"anyOf": [one, {"type": "string", "pattern": also_read}]}


def _with_one_error(schema: CoreSchema, error: str, message: str) -> CoreSchema:
    return core_schema.custom_error_schema(schema, custom_error_type=error, custom_error_message=message)


Id = Annotated[str, _Id()]
"""A UUID. Accepted with or without dashes and in either case; kept in lower case with dashes."""
Time = Annotated[datetime, _Time()]
"""An RFC 3339 time with an offset, from 1970 to 2200, cut to microseconds, and kept in UTC."""
Version = Annotated[int, _Integer(1, MAX_VERSION)]
"""A place in the aggregate's one sequence of versions, from 1 to 2^62 - 1."""
Percent = Annotated[int, _Integer(0, 100)]
"""Whole per cent, 0 to 100."""
Count = Annotated[int, _Integer(0, MAX_BIGINT)]
"""A whole number from 0 to 2^63 - 1."""
Amount = Annotated[float, _Amount()]
"""A finite number of 0 or more."""
Money = Annotated[str, _Money()]
"""US dollars as a plain decimal string, at most 6 digits before and 6 after the point."""
Username = Annotated[str, Text(50, pattern="^[a-zA-Z0-9_]{3,50}$")]
"""3 to 50 ASCII letters, digits and underscores."""
Attribute = Annotated[str, Text(shortest=1)]
"""A CloudEvents attribute: text that is not empty."""
