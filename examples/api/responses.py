"""What the API answers: never a row as it is."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from reelsync.models import Video, VideoStatus


class Response(BaseModel):
    """Made from a row by the names of its columns."""

    model_config = ConfigDict(from_attributes=True)


class UserSummary(Response):
    """A user in a list."""

    id: UUID
    username: str | None
    avatar_url: str | None
    created_at: datetime


class Profile(Response):
    """What a user tells about themselves."""

    full_name: str | None
    company: str | None
    locale: str | None
    timezone: str | None
    bio: str | None


class UserDetails(UserSummary):
    """A user. `profile` is null until there is one."""

    email: str | None
    is_active: bool
    preferences: dict[str, Any]
    last_login_at: datetime | None
    profile: Profile | None


class Output(Response):
    """What a render gave: seconds and bytes."""

    output_url: str | None
    thumbnail_url: str | None
    duration_seconds: float | None
    processing_time: float | None
    file_size: int | None
    completed_at: datetime | None


class VideoDetails(Response):
    """A video. `output` is null unless it is completed: of one being rendered again, the old output is not shown."""

    id: UUID
    user_id: UUID | None
    title: str | None
    status: VideoStatus | None
    progress: int | None
    error_code: str | None
    failed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    output: Output | None = None

    @classmethod
    def of(cls, video: Video) -> Self:
        """The response for a video."""
        response = cls.model_validate(video, from_attributes=True)
        if video.status is VideoStatus.COMPLETED:
            response.output = Output.model_validate(video)
        return response


class UserPage(Response):
    """Users, and the `after` that asks for those behind them; null on the last page."""

    items: list[UserSummary]
    next: UUID | None


class VideoPage(Response):
    """Videos, and the `after` that asks for those behind them; null on the last page."""

    items: list[VideoDetails]
    next: str | None


class NumberedVideoPage(Response):
    """Videos, and how many there are on all pages."""

    items: list[VideoDetails]
    total: int


class VideoOfUser(Response):
    """A video and who made it."""

    username: str | None
    video: VideoDetails


class DailyCost(Response):
    """A day of UTC; US dollars, as a string."""

    day: date
    uses: int
    cost_usd: Decimal


class ModelCost(Response):
    """What one model cost: US dollars, as a string."""

    model_name: str
    uses: int
    cost_usd: Decimal
    input_units: int
    output_units: int


class Health(Response):
    """The database answered; the connections that this process holds."""

    status: str
    checked_out: int
    invalid: int
