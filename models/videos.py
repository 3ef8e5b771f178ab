"""Videos."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Uuid,
    desc,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship, synonym

from .base import Base
from .facets import Merge, facet_version
from .mixins import SoftDeleteMixin

if TYPE_CHECKING:
    from .usage import ModelUsage
    from .users import User

LARGE_FILE_BYTES = 100 * 1024 * 1024


class VideoStatus(StrEnum):
    """The states of a video."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


_STATUS = Enum(
    VideoStatus,
    native_enum=False,
    create_constraint=False,
    length=20,
    values_callable=lambda statuses: [status.value for status in statuses],
)


class Video(SoftDeleteMixin, Base):
    """A video. `version` 0 is a placeholder: other rows refer to it, and its own events have not come yet.

    Output columns belong to the last completed render: read them only while `status` is completed.
    """

    __tablename__ = "videos"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed')", name="status"),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        CheckConstraint("user_id IS NOT NULL OR version = 0 OR version >= 4611686018427387904", name="owner_or_erased"),
        Index("ix_videos_user_id_created_at", "user_id", desc("created_at")),
        Index(
            "ix_videos_former_owners",
            "former_owners",
            postgresql_using="gin",
            postgresql_where=text("former_owners IS NOT NULL"),
        ),
        Index("ix_videos_failed", "user_id", "failed_at", postgresql_where=text("failed_at IS NOT NULL")),
        Index("ix_videos_unfinished", "status", postgresql_where=text("status IN ('pending', 'processing')")),
        Index("ix_videos_created_at", "created_at", postgresql_using="brin"),
        Index("ix_videos_updated_at", "updated_at", postgresql_using="brin"),
        {"postgresql_with": {"fillfactor": 75}},
    )
    __merge__: ClassVar[Merge] = Merge(
        {
            "details": ("title", "description", "avatar_id", "voice_id", "language", "resolution"),
            "state": ("status", "progress", "error_code", "error_message", "failed_at"),
            "start": ("started_at",),
            "output": (
                "output_url",
                "thumbnail_url",
                "duration_seconds",
                "processing_time",
                "file_size",
                "completed_at",
            ),
            "deletion": ("deleted_at",),
        },
        with_version=("user_id",),
        owner="user_id",
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    video_id: Mapped[UUID] = synonym("id")
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    former_owners: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    """Whom else its events named as owner, sorted: erasing any of them erases the video. NULL in nearly all rows."""
    title: Mapped[str | None] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(5000))
    avatar_id: Mapped[str | None] = mapped_column(String(100))
    voice_id: Mapped[str | None] = mapped_column(String(100))
    language: Mapped[str | None] = mapped_column(String(35))
    resolution: Mapped[str | None] = mapped_column(String(20))
    status: Mapped[VideoStatus | None] = mapped_column(_STATUS)
    progress: Mapped[int | None] = mapped_column(SmallInteger)
    error_code: Mapped[str | None] = mapped_column(String(100))
    error_message: Mapped[str | None] = mapped_column(String(2000))
    failed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    output_url: Mapped[str | None] = mapped_column(String(2000))
    thumbnail_url: Mapped[str | None] = mapped_column(String(2000))
    duration_seconds: Mapped[float | None] = mapped_column(Double)
    processing_time: Mapped[float | None] = mapped_column(Double)
    """Seconds that the render took."""
    file_size: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes."""
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    details_version: Mapped[int] = facet_version()
    state_version: Mapped[int] = facet_version()
    start_version: Mapped[int] = facet_version()
    output_version: Mapped[int] = facet_version()
    deletion_version: Mapped[int] = facet_version()
    version: Mapped[int] = facet_version()

    user: Mapped["User | None"] = relationship(back_populates="videos")
    model_usage: Mapped[list["ModelUsage"]] = relationship(
        back_populates="video", cascade="all, delete-orphan", passive_deletes=True
    )

    @hybrid_property
    def is_large_file(self) -> bool:
        """Whether the file is over 100 MiB; False while its size is unknown."""
        return (self.file_size or 0) > LARGE_FILE_BYTES

    @is_large_file.inplace.expression
    @classmethod
    def _is_large_file(cls) -> ColumnElement[bool]:
        return func.coalesce(cls.file_size, 0) > LARGE_FILE_BYTES


class VideoState(Base):
    """That an event gave a video this state. Rows come only while REELSYNC_BATCH__VIDEO_STATES is set.

    Each such event has a row, also one that came late. An erased video has none. There is no foreign key, which would
    look up the video once more for each row: videos are never removed, and what erases one deletes its states.
    """

    __tablename__ = "video_states"
    __table_args__ = (Index("ix_video_states_at", "at", postgresql_using="brin"),)
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]

    video_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    status: Mapped[VideoStatus] = mapped_column(_STATUS)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """The time of the event, the earliest if several have this version: two snapshots read one state of a row."""
    error_code: Mapped[str | None] = mapped_column(String(100))
