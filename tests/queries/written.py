"""What a service writes: one user with one video, and a facet of it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import NewVideo, User, Video, create_user_with_videos
from tests.queries.reader import Reader
from tests.support.builders import an_id

VIDEO, OWNER = UUID(an_id(1)), UUID(an_id(1001))
DETAILS = {"title": "By the service", "description": None, "avatar_id": None, "voice_id": None, "language": None}
DETAILS |= {"resolution": None}


async def stored(reader: Reader, key: UUID = VIDEO) -> Video:
    async with reader.session(include_deleted=True, include_placeholders=True) as session:
        return await session.get_one(Video, key)


async def make(session: AsyncSession) -> User:
    return await create_user_with_videos(
        session, username="user_1", email="user1@example.com", user_id=OWNER, videos=[NewVideo(title="Mine", id=VIDEO)]
    )
