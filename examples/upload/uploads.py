"""What the service does. A change of a video, its next version, and the event that tells of it are one transaction."""

from typing import TypedDict
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from examples.upload.tables import Outbox, Video
from reelsync.events import EventData, VideoCompleted, VideoCreated, VideoUpdated
from reelsync.events.publishing import EventEncoder, uuid7


class Ids(TypedDict):
    """What every event of a video carries."""

    video_id: str
    user_id: str
    version: int


class NoSuchVideoError(LookupError):
    """There is no video of this id."""


class Uploads:
    """The videos that people uploaded."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], encoder: EventEncoder) -> None:
        self._sessions = sessions
        self._encoder = encoder

    async def upload(self, owner_id: UUID, title: str, description: str | None = None) -> UUID:
        """Take in a new video; its id."""
        async with self._sessions.begin() as session:
            video = Video(id=uuid7(), owner_id=owner_id, title=title, description=description, version=1)
            session.add(video)
            self._tell(session, VideoCreated(title=title, description=description, **_ids(video)))
            return video.id

    async def rename(self, video_id: UUID, title: str) -> None:
        """Give it another title.

        Raises:
            NoSuchVideoError: there is none.
        """
        async with self._sessions.begin() as session:
            video = await _locked(session, video_id)
            video.title, video.version = title, video.version + 1
            # A facet is set whole: the description goes along, or it would be gone.
            self._tell(session, VideoUpdated(title=title, description=video.description, **_ids(video)))

    async def finish(self, video_id: UUID, *, url: str, seconds: float, took: float, size: int) -> None:
        """Say that its file is ready: length and time the render took in seconds, size in bytes.

        Raises:
            NoSuchVideoError: there is none.
        """
        async with self._sessions.begin() as session:
            video = await _locked(session, video_id)
            video.version += 1
            completed = VideoCompleted(
                output_url=url, duration_seconds=seconds, processing_time=took, file_size=size, **_ids(video)
            )
            self._tell(session, completed)

    async def erase(self, video_id: UUID) -> None:
        """Remove it, here and wherever its events are read, for good.

        Raises:
            NoSuchVideoError: there is none.
        """
        async with self._sessions.begin() as session:
            await session.delete(await _locked(session, video_id))
            session.add(Outbox.of(self._encoder.tombstone("video", video_id)))

    async def place_of(self, video_id: UUID) -> str | None:
        """Where its latest event is in the log, for whoever reads the video after that; None while one is not sent.

        Raises:
            NoSuchVideoError: there is none.
        """
        waits = exists().where(Outbox.key == str(video_id).encode())
        async with self._sessions() as session:
            found = (await session.execute(select(Video.place, waits).where(Video.id == video_id))).one_or_none()
        if found is None:
            raise NoSuchVideoError(str(video_id))
        place, is_waiting = found
        return None if is_waiting else place

    def _tell(self, session: AsyncSession, event: EventData) -> None:
        session.add(Outbox.of(self._encoder.encode(event)))


async def _locked(session: AsyncSession, video_id: UUID) -> Video:
    """The video, locked until the transaction ends: so versions of one video, and its outbox rows, are in one order.

    The lock must come before the outbox row is written. An UPDATE at the flush would come after its position was drawn.
    """
    video = await session.get(Video, video_id, with_for_update=True)
    if video is None:
        raise NoSuchVideoError(str(video_id))
    return video


def _ids(video: Video) -> Ids:
    return {"video_id": str(video.id), "user_id": str(video.owner_id), "version": video.version}
