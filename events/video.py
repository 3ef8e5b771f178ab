"""What happened to a video. One class for each type; its fields are the event's `data`."""

from typing import Annotated, ClassVar, Literal

from .data import EventData
from .fields import Amount, Count, Id, Percent, Text, Version


class VideoEvent(EventData):
    """What every video event carries."""

    aggregate: ClassVar = "video"

    video_id: Id
    user_id: Id
    """The owner as of this version."""
    version: Version


class VideoDetails(VideoEvent):
    """The facet `details`, always set whole: a field left out becomes NULL."""

    title: Annotated[str, Text(200)]
    description: Annotated[str, Text(5000)] | None = None
    avatar_id: Annotated[str, Text(100)] | None = None
    voice_id: Annotated[str, Text(100)] | None = None
    language: Annotated[str, Text(35)] | None = None
    """BCP 47 tag, such as `pt-BR`."""
    resolution: Annotated[str, Text(20)] | None = None
    """As the renderer names it, such as `1920x1080`."""


class VideoCreated(VideoDetails):
    """A video was requested: sets details, and state to pending at 0 %."""

    type: ClassVar[Literal["video.created"]] = "video.created"


class VideoUpdated(VideoDetails):
    """The details were edited."""

    type: ClassVar[Literal["video.updated"]] = "video.updated"


class VideoProcessing(VideoEvent):
    """Rendering began: state is processing at 0 %, `started_at` the event's time."""

    type: ClassVar[Literal["video.processing"]] = "video.processing"


class VideoProgressed(VideoEvent):
    """Rendering went on."""

    type: ClassVar[Literal["video.progressed"]] = "video.progressed"

    progress: Percent


class VideoCompleted(VideoEvent):
    """Rendering ended well: state is completed at 100 %, `completed_at` the event's time."""

    type: ClassVar[Literal["video.completed"]] = "video.completed"

    output_url: Annotated[str, Text(2000)]
    thumbnail_url: Annotated[str, Text(2000)] | None = None
    duration_seconds: Amount
    """Length of the video, seconds."""
    processing_time: Amount
    """Time the render took, seconds."""
    file_size: Count
    """Bytes."""


class VideoFailed(VideoEvent):
    """Rendering ended badly: state is failed, at the progress given or 0 %, and `failed_at` the event's time."""

    type: ClassVar[Literal["video.failed"]] = "video.failed"

    error_code: Annotated[str, Text(100)]
    error_message: Annotated[str, Text(2000)] | None = None
    progress: Percent | None = None


class VideoDeleted(VideoEvent):
    """The video was deleted: `deleted_at` is the event's time. This is not an erasure."""

    type: ClassVar[Literal["video.deleted"]] = "video.deleted"


class VideoRestored(VideoEvent):
    """The video was restored: `deleted_at` is NULL again."""

    type: ClassVar[Literal["video.restored"]] = "video.restored"
