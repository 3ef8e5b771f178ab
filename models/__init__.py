"""What is stored: SQLAlchemy models of the tables, how their rows merge, and engines to reach them."""

from .base import Base
from .engine import PoolStats, create_engine, get_pool_stats
from .ledger import ConsumerOffset, DeadLetter
from .mixins import SoftDeleteMixin, TimestampMixin
from .sessions import SessionFactory, create_scoped_session, create_session_factory, get_session
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
    "PoolStats",
    "SessionFactory",
    "SoftDeleteMixin",
    "TimestampMixin",
    "User",
    "UserProfile",
    "Video",
    "VideoStatus",
    "create_engine",
    "create_scoped_session",
    "create_session_factory",
    "get_pool_stats",
    "get_session",
]
