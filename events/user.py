"""What happened to a user. One class for each type; its fields are the event's `data`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .data import EventData
from .fields import Id, Text, Username, Version
from .json_objects import JsonObject


class UserEvent(EventData):
    """What every user event carries."""

    aggregate: ClassVar = "user"

    user_id: Id
    version: Version


class UserAccount(UserEvent):
    """The facet `account`, always set whole: a field left out becomes NULL."""

    username: Username
    """Unique among users that are not deleted."""
    email: Annotated[str, Text(100, shortest=1)]
    """Unique among users that are not deleted."""
    avatar_url: Annotated[str, Text(500)] | None = None


class UserCreated(UserAccount):
    """A user signed up: sets account, activation and preferences."""

    type: ClassVar[Literal["user.created"]] = "user.created"

    is_active: bool = True
    preferences: JsonObject = Field(default_factory=dict)


class UserUpdated(UserAccount):
    """The account was edited."""

    type: ClassVar[Literal["user.updated"]] = "user.updated"


class UserPreferencesChanged(UserEvent):
    """The preferences were replaced."""

    type: ClassVar[Literal["user.preferences_changed"]] = "user.preferences_changed"

    preferences: JsonObject


class UserActivated(UserEvent):
    """The user may use the product."""

    type: ClassVar[Literal["user.activated"]] = "user.activated"


class UserDeactivated(UserEvent):
    """The user may not use the product."""

    type: ClassVar[Literal["user.deactivated"]] = "user.deactivated"


class UserLoggedIn(UserEvent):
    """`last_login_at` is the event's time."""

    type: ClassVar[Literal["user.logged_in"]] = "user.logged_in"


class UserProfileUpdated(UserEvent):
    """The profile was edited: a row in user_profiles. It advances the user's version too."""

    type: ClassVar[Literal["user.profile_updated"]] = "user.profile_updated"

    full_name: Annotated[str, Text(200)] | None = None
    company: Annotated[str, Text(200)] | None = None
    locale: Annotated[str, Text(35)] | None = None
    """BCP 47 tag, such as `pt-BR`."""
    timezone: Annotated[str, Text(64)] | None = None
    """IANA name, such as `Europe/Lisbon`."""
    bio: Annotated[str, Text(5000)] | None = None


class UserDeleted(UserEvent):
    """The user was deleted: `deleted_at` is the event's time, and the name is free again. This is not an erasure."""

    type: ClassVar[Literal["user.deleted"]] = "user.deleted"


class UserRestored(UserEvent):
    """The user was restored: `deleted_at` is NULL again."""

    type: ClassVar[Literal["user.restored"]] = "user.restored"


class UserErased(EventData):
    """The person is forgotten, for good: the user, the profile and all of their videos. No version: it is above all."""

    aggregate: ClassVar = "user"
    type: ClassVar[Literal["user.erased"]] = "user.erased"

    user_id: Id
