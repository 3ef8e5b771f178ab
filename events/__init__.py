"""What publishers send: the event contract, as Pydantic models. Needs Pydantic and the standard library only.

`contract` lists every type; `video`, `user` and `usage` define them field by field; `codec` turns the bytes of a Kafka
record into a validated event. `publishing` sends them.
"""

from .codec import InvalidEventError, Problem, aggregate_id, aggregate_of, is_binary, parse_event
from .contract import ENVELOPES, EVENT, EVENT_DATA, TOPICS, CloudEvent, EventType
from .data import Aggregate, EventData
from .fields import canonical_id
from .tombstones import ERASED_VERSION, ErasureType, Tombstone, tombstone
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
from .wire import WireEvent

__all__ = [
    "ENVELOPES",
    "ERASED_VERSION",
    "EVENT",
    "EVENT_DATA",
    "TOPICS",
    "Aggregate",
    "CloudEvent",
    "ErasureType",
    "EventData",
    "EventType",
    "InvalidEventError",
    "ModelUsageRecorded",
    "Problem",
    "Tombstone",
    "UserActivated",
    "UserCreated",
    "UserDeactivated",
    "UserDeleted",
    "UserErased",
    "UserLoggedIn",
    "UserPreferencesChanged",
    "UserProfileUpdated",
    "UserRestored",
    "UserUpdated",
    "VideoCompleted",
    "VideoCreated",
    "VideoDeleted",
    "VideoFailed",
    "VideoProcessing",
    "VideoProgressed",
    "VideoRestored",
    "VideoUpdated",
    "WireEvent",
    "aggregate_id",
    "aggregate_of",
    "canonical_id",
    "is_binary",
    "parse_event",
    "tombstone",
]
