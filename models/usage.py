"""Facts of model usage: immutable rows, inserted once."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Double, ForeignKey, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base

if TYPE_CHECKING:
    from .videos import Video


class ModelUsage(Base):
    """What a model did for a video, and what it cost. `created_at` and `updated_at` equal `used_at`."""

    __tablename__ = "model_usage"
    __table_args__ = (
        Index("ix_model_usage_video_id", "video_id"),
        Index("ix_model_usage_user_id", "user_id"),
        Index("ix_model_usage_used_at", "used_at", postgresql_using="brin"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    video_id: Mapped[UUID] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]
    model_name: Mapped[str] = mapped_column(String(100))
    model_type: Mapped[str | None] = mapped_column(String(100))
    input_units: Mapped[int | None] = mapped_column(BigInteger)
    output_units: Mapped[int | None] = mapped_column(BigInteger)
    duration_seconds: Mapped[float | None] = mapped_column(Double)
    cost_usd: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    used_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    video: Mapped["Video"] = relationship(back_populates="model_usage")
