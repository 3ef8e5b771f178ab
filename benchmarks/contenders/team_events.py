"""Events as a team may model them without facets: one model with optional fields, and the columns of each type."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from reelsync.models.videos import VideoStatus

Text = Annotated[str, Field(max_length=2_000)]
_STATES = {
    "video.created": (VideoStatus.PENDING, 0),
    "video.processing": (VideoStatus.PROCESSING, 0),
    "video.progressed": (VideoStatus.PROCESSING, None),
    "video.completed": (VideoStatus.COMPLETED, 100),
}


class VideoData(BaseModel):
    """What a video event may carry."""

    video_id: UUID
    user_id: UUID
    version: int = Field(ge=1)
    title: Text | None = None
    description: Text | None = None
    avatar_id: Text | None = None
    voice_id: Text | None = None
    language: Text | None = None
    resolution: Text | None = None
    progress: int | None = Field(None, ge=0, le=100)
    output_url: Text | None = None
    thumbnail_url: Text | None = None
    duration_seconds: float | None = None
    processing_time: float | None = None
    file_size: int | None = None


class VideoEvent(BaseModel):
    """A video event of any type."""

    id: str
    source: str
    type: Literal["video.created", "video.updated", "video.processing", "video.progressed", "video.completed"]
    time: AwareDatetime
    data: VideoData

    def columns(self) -> dict[str, Any]:
        """The columns that the event sets."""
        columns = self.data.model_dump(exclude_none=True, exclude={"video_id", "progress"})
        columns |= {"id": self.data.video_id, "updated_at": self.time}
        if self.type in _STATES:
            status, progress = _STATES[self.type]
            columns |= {"status": status, "progress": self.data.progress if progress is None else progress}
        return columns | self._moment()

    def _moment(self) -> dict[str, datetime]:
        match self.type:
            case "video.created":
                return {"created_at": self.time}
            case "video.processing":
                return {"started_at": self.time}
            case "video.completed":
                return {"completed_at": self.time}
            case _:
                return {}
