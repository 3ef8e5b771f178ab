"""Events of every type, with what a test does not care about filled in.

`a_user()` and `a_video()` stand for one aggregate each: an id of their own, and versions that rise with every event
that they make. What a test says of an event goes over the defaults, `version` included.

    user = a_user()
    video = a_video(owner=user)
    await publisher.send_many([user.created(), video.created(title="A tour"), video.completed(file_size=10)])
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from reelsync.events import (
    EVENT_DATA,
    EventData,
    ModelUsageRecorded,
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
    VideoCompleted,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoProcessing,
    VideoProgressed,
    VideoRestored,
    VideoUpdated,
)
from reelsync.events.publishing import uuid7

Event = TypeVar("Event", bound=EventData)

DEFAULTS: Mapping[str, dict[str, Any]] = {
    "video.created": {"title": "A video"},
    "video.updated": {"title": "A video, again"},
    "video.progressed": {"progress": 50},
    "video.completed": {
        "output_url": "https://cdn.example.com/out.mp4",
        "duration_seconds": 12.5,
        "processing_time": 30.25,
        "file_size": 1_234_567,
    },
    "video.failed": {"error_code": "render_timeout"},
    "user.preferences_changed": {"preferences": {"theme": "dark"}},
    "user.profile_updated": {"full_name": "Somebody"},
    "model_usage.recorded": {"model_name": "speech-2", "cost_usd": "0.0125"},
}
"""Values that a type requires beyond ids, version and a user's name, or without which it would be too simple."""


class AUser:
    """One user, and the events about it."""

    def __init__(self, user_id: str | None = None) -> None:
        self.id = user_id or str(uuid7())
        self.version = 0
        self.username = f"user_{self.id.replace('-', '')[-12:]}"
        self.email = f"{self.username}@example.com"

    def created(self, **data: Any) -> UserCreated:
        """The user signed up."""
        return self._event(UserCreated, self._account() | data)

    def updated(self, **data: Any) -> UserUpdated:
        """The account was edited."""
        return self._event(UserUpdated, self._account() | data)

    def preferences_changed(self, **data: Any) -> UserPreferencesChanged:
        """The preferences were replaced."""
        return self._event(UserPreferencesChanged, data)

    def activated(self, **data: Any) -> UserActivated:
        """The user may use the product."""
        return self._event(UserActivated, data)

    def deactivated(self, **data: Any) -> UserDeactivated:
        """The user may not use the product."""
        return self._event(UserDeactivated, data)

    def logged_in(self, **data: Any) -> UserLoggedIn:
        """The user logged in."""
        return self._event(UserLoggedIn, data)

    def profile_updated(self, **data: Any) -> UserProfileUpdated:
        """The profile was edited."""
        return self._event(UserProfileUpdated, data)

    def deleted(self, **data: Any) -> UserDeleted:
        """The user was deleted."""
        return self._event(UserDeleted, data)

    def restored(self, **data: Any) -> UserRestored:
        """The user was restored."""
        return self._event(UserRestored, data)

    def erased(self) -> UserErased:
        """The person is forgotten, with all of their videos."""
        return UserErased(user_id=self.id)

    def _account(self) -> dict[str, Any]:
        return {"username": self.username, "email": self.email}

    def _event(self, cls: type[Event], data: dict[str, Any]) -> Event:
        event = _filled(cls, {"user_id": self.id, "version": self.version + 1} | data)
        self.version = max(self.version, event.__dict__["version"])
        return event


class AVideo:
    """One video, the events about it, and the usage of models for it."""

    def __init__(self, owner: AUser | None = None, video_id: str | None = None) -> None:
        self.id = video_id or str(uuid7())
        self.owner = owner or AUser()
        self.version = 0

    def created(self, **data: Any) -> VideoCreated:
        """The video was requested."""
        return self._event(VideoCreated, data)

    def updated(self, **data: Any) -> VideoUpdated:
        """The details were edited."""
        return self._event(VideoUpdated, data)

    def processing(self, **data: Any) -> VideoProcessing:
        """Rendering began."""
        return self._event(VideoProcessing, data)

    def progressed(self, **data: Any) -> VideoProgressed:
        """Rendering went on."""
        return self._event(VideoProgressed, data)

    def completed(self, **data: Any) -> VideoCompleted:
        """Rendering ended well."""
        return self._event(VideoCompleted, data)

    def failed(self, **data: Any) -> VideoFailed:
        """Rendering ended badly."""
        return self._event(VideoFailed, data)

    def deleted(self, **data: Any) -> VideoDeleted:
        """The video was deleted."""
        return self._event(VideoDeleted, data)

    def restored(self, **data: Any) -> VideoRestored:
        """The video was restored."""
        return self._event(VideoRestored, data)

    def usage(self, **data: Any) -> ModelUsageRecorded:
        """A model did some work for it. A new fact each time."""
        return _filled(ModelUsageRecorded, {"usage_id": str(uuid7())} | self._ids() | data)

    def _ids(self) -> dict[str, Any]:
        return {"video_id": self.id, "user_id": self.owner.id}

    def _event(self, cls: type[Event], data: dict[str, Any]) -> Event:
        event = _filled(cls, self._ids() | {"version": self.version + 1} | data)
        self.version = max(self.version, event.__dict__["version"])
        return event


def a_user(user_id: str | None = None) -> AUser:
    """A new user, or the one with the given id."""
    return AUser(user_id)


def a_video(owner: AUser | None = None, *, video_id: str | None = None) -> AVideo:
    """A new video, or the one with the given id. Without an owner it gets a new user who has no events yet."""
    return AVideo(owner, video_id)


def every_event() -> list[EventData]:
    """One event of every type of the contract, about one user and one video, in an order that could have happened.

    The last one erases the user, and the video with it.
    """
    user = AUser()
    video = AVideo(user)
    made = [getattr(video if "video" in name else user, name.partition(".")[2])() for name in _LIFE]
    return [*made, video.usage(), user.erased()]


_LIFE = tuple(name for name in EVENT_DATA if name not in {"model_usage.recorded", "user.erased"})


def _filled(cls: type[Event], data: dict[str, Any]) -> Event:
    return cls(**(DEFAULTS.get(cls.type, {}) | data))
