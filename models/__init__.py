"""What is stored: SQLAlchemy models of the tables, how their rows merge, and engines to reach them."""

from .base import Base
from .ledger import ConsumerOffset, DeadLetter
from .mixins import SoftDeleteMixin, TimestampMixin
from .types import JSONType
from .usage import ModelUsage
from .users import User, UserProfile
from .videos import Video, VideoStatus

__all__ = [
    "Base",
    "ConsumerOffset",
    "DeadLetter",
    "JSONType",
    "ModelUsage",
    "SoftDeleteMixin",
    "TimestampMixin",
    "User",
    "UserProfile",
    "Video",
    "VideoStatus",
]
