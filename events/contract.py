"""All event types, and the CloudEvents envelope that carries each of them."""

from typing import Annotated, Any, Literal, Self, Union

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model, model_validator

from .data import Aggregate, EventData
from .fields import Attribute, Id, Time
from .usage import ModelUsageRecorded
from .user import (
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserDeleted,
    UserErased,
    UserLoggedIn,
    UserPreferencesChanged,
    UserProfileUpdated,
    UserRestored,
    UserUpdated,
)
from .video import (
    VideoCompleted,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoProcessing,
    VideoProgressed,
    VideoRestored,
    VideoUpdated,
)

EventType = Literal[
    "video.created",
    "video.updated",
    "video.processing",
    "video.progressed",
    "video.completed",
    "video.failed",
    "video.deleted",
    "video.restored",
    "user.created",
    "user.updated",
    "user.preferences_changed",
    "user.activated",
    "user.deactivated",
    "user.logged_in",
    "user.profile_updated",
    "user.deleted",
    "user.restored",
    "user.erased",
    "model_usage.recorded",
]

EVENT_DATA: dict[EventType, type[EventData]] = {
    cls.type: cls
    for cls in (
        VideoCreated,
        VideoUpdated,
        VideoProcessing,
        VideoProgressed,
        VideoCompleted,
        VideoFailed,
        VideoDeleted,
        VideoRestored,
        UserCreated,
        UserUpdated,
        UserPreferencesChanged,
        UserActivated,
        UserDeactivated,
        UserLoggedIn,
        UserProfileUpdated,
        UserDeleted,
        UserRestored,
        UserErased,
        ModelUsageRecorded,
    )
}


TOPICS: dict[Aggregate, str] = {"user": "user-events", "video": "video-events", "model_usage": "model-usage-events"}
"""The default topics. Any of them may carry any type."""


class CloudEvent(BaseModel):
    """A CloudEvents 1.0 envelope. `time` is when it happened; `subject`, if there is one, is the aggregate's id.

    Source: CloudEvents 1.0 specification, "Context Attributes".
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: Attribute
    source: Attribute
    type: str
    time: Time
    subject: Id | None = None
    dataschema: str | None = None
    data: EventData

    @model_validator(mode="after")
    def _subject_names_the_aggregate(self) -> Self:
        check_subject(self.subject, self.data.__dict__)
        return self


def check_subject(subject: str | None, data: dict[str, object]) -> None:
    """Check that `subject` is the id of the aggregate that `data` is about; a fact may name itself or its video.

    Raises:
        ValueError: it is another id.
    """
    if subject is None:
        return
    if "usage_id" in data:
        named = subject in {data["usage_id"], data["video_id"]}
    else:
        named = subject == data.get("video_id", data["user_id"])
    if not named:
        message = "subject must equal the aggregate's id"
        raise ValueError(message)


def dataschema_of(event_type: str, version: int) -> str:
    """The URN that names version `version` of the data of `event_type`."""
    return f"urn:reelsync:{event_type}:{version}"


def _envelope_of(cls: type[EventData]) -> type[CloudEvent]:
    """The envelope of one type: `type` and `dataschema` have one value, `data` is `cls`.

    An absent dataschema means version 1, so it may be left out only while version 1 is the current one.
    """
    urn: Any = Literal[dataschema_of(cls.type, cls.schema_version)]
    literal_type: Any = Literal[cls.type]
    dataschema: Any = (urn | None, None) if cls.schema_version == 1 else (urn, ...)
    return create_model(
        f"{cls.__name__}Event",
        __base__=CloudEvent,
        __doc__=cls.__doc__,
        type=(literal_type, ...),
        dataschema=dataschema,
        data=(cls, ...),
    )


ENVELOPES: dict[EventType, type[CloudEvent]] = {name: _envelope_of(cls) for name, cls in EVENT_DATA.items()}

_ANY_ENVELOPE: Any = Union.__getitem__(tuple(ENVELOPES.values()))
EVENT: TypeAdapter[CloudEvent] = TypeAdapter(Annotated[_ANY_ENVELOPE, Field(discriminator="type")])
"""The discriminated union of all events, structured mode. `reelsync.events.wire` checks the same, faster."""
