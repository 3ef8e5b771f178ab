"""The columns that a row sets, grouped into facets, each with the rule of the events' field of that name."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ..fields import Time
from ..user import UserAccount, UserPreferencesChanged, UserProfileUpdated
from ..video import VideoCompleted, VideoDetails, VideoFailed, VideoProgressed
from ..wire import schemas_of
from .connect_json import parse_json

_OF_THE_EVENT = {"user_id", "video_id", "version"}


def _columns(event: type[BaseModel]) -> dict[str, CoreSchema]:
    """The fields of an event beside its ids and version."""
    return {name: schema for name, schema in schemas_of(event).items() if name not in _OF_THE_EVENT}


def rule_of(column_type: Any) -> CoreSchema:
    """The schema of one column."""
    return TypeAdapter(column_type).core_schema


def _optional(schema: CoreSchema) -> CoreSchema:
    return core_schema.with_default_schema(core_schema.nullable_schema(schema), default=None)


def time_rule() -> CoreSchema:
    """The schema of a time."""
    message = "must be a time with an offset, such as 2026-01-05T10:00:00Z, from 1970 to 2200"
    return core_schema.custom_error_schema(rule_of(Time), custom_error_type="time", custom_error_message=message)


def nullable_time() -> CoreSchema:
    """The schema of a time that may be NULL."""
    return core_schema.nullable_schema(time_rule())


def _flag(value: object) -> object:
    """MySQL's TINYINT(1) is 0 or 1."""
    return bool(value) if type(value) is int and value in {0, 1} else value


def whole(value: object) -> object:
    """With `decimal.handling.mode=double` a `numeric` column is a double, which is exact for integers up to 2^53."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) <= 2**53 else value


def _json_object(value: object) -> object:
    """A `jsonb` column is JSON in a string. NULL becomes an empty object."""
    if value is None:
        return {}
    try:
        return parse_json(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError("json_invalid", "must be JSON") from None


_completed = _columns(VideoCompleted)
_failed = _columns(VideoFailed)

FACETS: Mapping[Literal["user", "video"], Mapping[str, Mapping[str, CoreSchema]]] = {
    "user": {
        "account": _columns(UserAccount),
        "activation": {"is_active": core_schema.no_info_before_validator_function(_flag, core_schema.bool_schema())},
        "preferences": {
            "preferences": core_schema.no_info_before_validator_function(
                _json_object, _columns(UserPreferencesChanged)["preferences"]
            )
        },
        "login": {"last_login_at": nullable_time()},
        "profile": _columns(UserProfileUpdated),
        "deletion": {"deleted_at": nullable_time()},
    },
    "video": {
        "details": _columns(VideoDetails),
        "state": {
            "status": core_schema.literal_schema(["pending", "processing", "completed", "failed"]),
            "progress": _optional(
                core_schema.no_info_before_validator_function(whole, _columns(VideoProgressed)["progress"])
            ),
            "error_code": _optional(_failed["error_code"]),
            "error_message": _failed["error_message"],
            "failed_at": _optional(time_rule()),
        },
        "start": {"started_at": nullable_time()},
        "output": {
            "output_url": core_schema.nullable_schema(_completed["output_url"]),
            "thumbnail_url": _completed["thumbnail_url"],
            "duration_seconds": _optional(_completed["duration_seconds"]),
            "processing_time": _optional(_completed["processing_time"]),
            "file_size": _optional(core_schema.no_info_before_validator_function(whole, _completed["file_size"])),
            "completed_at": _optional(time_rule()),
        },
        "deletion": {"deleted_at": nullable_time()},
    },
}
