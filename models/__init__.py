"""The tables as SQLAlchemy models, the merge of their rows, and engines and sessions to use them."""

try:
    from .base import Base
except ModuleNotFoundError as error:
    message = f"reelsync.models needs {error.name}, which is not installed: install reelsync[models]"
    raise ModuleNotFoundError(message, name=error.name) from None
from .consumer_state import ConsumerOffset, DeadLetter
from .engine import PoolStats, create_engine, get_pool_stats
from .mixins import SoftDeleteMixin, TimestampMixin
from .services import NewVideo, create_user_with_videos
from .sessions import SessionFactory, create_scoped_session, create_session_factory, get_session
from .types import JSONType
from .usage import ModelUsage
from .users import User, UserProfile
from .videos import Video, VideoState, VideoStatus
from .waiting import Outcome, Place, wait_until_applied, wait_until_applied_blocking
from .writing import bulk_delete, bulk_insert, bulk_soft_delete, bulk_update

__all__ = [
    "Base",
    "ConsumerOffset",
    "DeadLetter",
    "JSONType",
    "ModelUsage",
    "NewVideo",
    "Outcome",
    "Place",
    "PoolStats",
    "SessionFactory",
    "SoftDeleteMixin",
    "TimestampMixin",
    "User",
    "UserProfile",
    "Video",
    "VideoState",
    "VideoStatus",
    "bulk_delete",
    "bulk_insert",
    "bulk_soft_delete",
    "bulk_update",
    "create_engine",
    "create_scoped_session",
    "create_session_factory",
    "create_user_with_videos",
    "get_pool_stats",
    "get_session",
    "wait_until_applied",
    "wait_until_applied_blocking",
]
