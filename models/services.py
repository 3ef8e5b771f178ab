"""Operations of a service on several tables at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from .query_names import named_by_connection
from .users import User
from .videos import Video, VideoStatus

_FIRST = 1
"""The version of an aggregate that a service has just made. Its publishers continue with 2."""


@dataclass(frozen=True, kw_only=True)
class NewVideo:
    """A video to be made, with the data of `video.created`."""

    title: str
    description: str | None = None
    avatar_id: str | None = None
    voice_id: str | None = None
    language: str | None = None
    resolution: str | None = None
    id: UUID = field(default_factory=uuid4)


async def create_user_with_videos(  # noqa: PLR0913 - what `user.created` says
    session: AsyncSession,
    *,
    username: str,
    email: str,
    avatar_url: str | None = None,
    preferences: dict[str, Any] | None = None,
    user_id: UUID | None = None,
    videos: Sequence[NewVideo] = (),
) -> User:
    """Make a user with videos that are pending, all or nothing: one transaction, committed; two INSERTs in it.

    The rows are those that `user.created` and `video.created` of version 1 would make, so these events, published
    afterwards, change nothing, and later ones merge. What the session has pending is committed with them.

    Returns:
        The user, with `videos` loaded.

    Raises:
        sqlalchemy.exc.IntegrityError: the name, the address or an id is taken. The transaction is rolled back.
        sqlalchemy.exc.DBAPIError: the database refused for another reason, or is away. Likewise.
    """
    user = User(
        id=user_id or uuid4(),
        username=username,
        email=email,
        avatar_url=avatar_url,
        preferences=preferences or {},
        profile=None,
        version=_FIRST,
        account_version=_FIRST,
        activation_version=_FIRST,
        preferences_version=_FIRST,
        videos=[_pending(video) for video in videos],
    )
    session.add(user)
    await _commit(session, "users.create_with_videos")
    return user


async def _commit(session: AsyncSession, query_name: str) -> None:
    """Commit, or roll back if that fails or is cancelled."""
    try:
        async with named_by_connection(session, query_name):
            await session.commit()
    except BaseException:
        await session.rollback()
        raise


def _pending(video: NewVideo) -> Video:
    return Video(
        id=video.id,
        title=video.title,
        description=video.description,
        avatar_id=video.avatar_id,
        voice_id=video.voice_id,
        language=video.language,
        resolution=video.resolution,
        status=VideoStatus.PENDING,
        progress=0,
        version=_FIRST,
        details_version=_FIRST,
        state_version=_FIRST,
        model_usage=[],
    )
