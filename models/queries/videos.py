"""Videos."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, load_only, selectinload

from reelsync.models.users import User
from reelsync.models.videos import Video, VideoStatus

from .conditions import among, has_status, within
from .naming import named
from .pages import Page, VideoPosition, fetch_page

_NEWEST_FIRST = (Video.created_at.desc(), Video.id.desc())


@named
def video_by_id(video_id: UUID) -> Select[Video]:
    """The video with this id, with `model_usage` loaded.

    SQL, two statements: by the primary key, then `SELECT … FROM model_usage WHERE video_id IN (…)` by the index on it.
    """
    return select(Video).options(selectinload(Video.model_usage)).where(Video.id == video_id)


@named
def videos_of_user(
    user_id: UUID, *, status: VideoStatus | None = None, after: VideoPosition | None = None, limit: int = 50
) -> Select[Video]:
    """A user's videos, newest first, from behind `after` on.

    SQL: `SELECT … FROM videos WHERE user_id = :user_id AND (created_at, id) < (:created_at, :id) ORDER BY created_at
    DESC, id DESC LIMIT :limit`, along the index on `(user_id, created_at DESC)`: each page costs the same. With a
    status, the user's other videos that lie between are read and left out. A video that arrives meanwhile shifts
    nothing; one shows twice only if an event with an earlier time arrives for it meanwhile, which moves its
    `created_at` back.
    """
    statement = _videos_of_user(user_id, status).limit(limit)
    if after is None:
        return statement
    return statement.where(tuple_(Video.created_at, Video.id) < tuple_(after.created_at, after.id))


async def page_of_videos_of_user(
    session: AsyncSession, user_id: UUID, *, status: VideoStatus | None = None, limit: int = 50, offset: int = 0
) -> Page[Video]:
    """A user's videos, newest first, by number of the page, with the total.

    SQL, two statements: `SELECT count(*)` and `SELECT … LIMIT :limit OFFSET :offset`, both by the index on
    `(user_id, created_at DESC)`; see `fetch_page` for what a far page costs.
    """
    statement = _videos_of_user(user_id, status).execution_options(query_name="queries.page_of_videos_of_user")
    return await fetch_page(session, statement, limit=limit, offset=offset)


@named
def video_titles_of_user(user_id: UUID, *, limit: int = 50) -> Select[Video]:
    """A user's videos, newest first, with `id`, `title`, `status`, `progress` and `created_at` alone; others raise.

    SQL: `SELECT id, title, status, progress, created_at FROM videos WHERE user_id = :user_id ORDER BY … LIMIT :limit`,
    along the index on `(user_id, created_at DESC)`.
    """
    only = load_only(Video.id, Video.title, Video.status, Video.progress, Video.created_at, raiseload=True)
    return _videos_of_user(user_id, None).options(only).limit(limit)


@named
def newest_video_of_each_user(user_ids: Collection[UUID] | None = None) -> Select[Video]:
    """The newest video of each of these users, or of all, in the order of the users' ids.

    SQL: `SELECT … FROM (SELECT …, row_number() OVER (PARTITION BY user_id ORDER BY created_at DESC, id DESC) …) WHERE
    row_number = 1`, along the index on `(user_id, created_at DESC)`. For all users it reads all videos.
    """
    newest_first = func.row_number().over(partition_by=Video.user_id, order_by=_NEWEST_FIRST).label("newest_first")
    ranked = select(Video, newest_first)
    if user_ids is not None:
        ranked = ranked.where(among(Video.user_id, user_ids))
    numbered = ranked.subquery()
    newest = aliased(Video, numbered)
    return select(newest).where(numbered.c.newest_first == 1).order_by(newest.user_id)


@named
def users_and_videos_by_status(
    status: VideoStatus, *, since: datetime | None = None, until: datetime | None = None, limit: int = 100
) -> Select[User, Video]:
    """Pairs of a user and a video in this status, newest video first.

    SQL: one statement, `SELECT … FROM videos JOIN users … WHERE status = :status … ORDER BY created_at DESC LIMIT`.
    Pending and processing videos are found by the partial index on them; finished ones need a window, which the BRIN
    index on `created_at` finds: without one, all videos are read.
    """
    return (
        select(User, Video)
        .join(Video.user)
        .where(has_status(status), *within(Video.created_at, since, until))
        .order_by(*_NEWEST_FIRST)
        .limit(limit)
    )


@named
def stuck_videos(longer_than: timedelta, *, now: datetime | None = None, limit: int = 100) -> Select[Video]:
    """Videos that have been processing for longer than this, longest first.

    Counted from `started_at`, or from the last event of a video whose start has not arrived. `now` defaults to the
    database's clock; publishers' clocks set the other end.

    SQL: `SELECT … FROM videos WHERE status = 'processing' AND coalesce(started_at, updated_at) < :then ORDER BY …
    LIMIT`, by the partial index on unfinished videos.
    """
    since = func.coalesce(Video.started_at, Video.updated_at)
    then = (func.now() if now is None else now) - longer_than
    return select(Video).where(has_status(VideoStatus.PROCESSING), since < then).order_by(since, Video.id).limit(limit)


@named
def large_files(
    *, since: datetime | None = None, until: datetime | None = None, user_id: UUID | None = None, limit: int = 100
) -> Select[Video]:
    """Completed videos with a file over 100 MiB (`Video.is_large_file`), largest first.

    SQL: `SELECT … FROM videos WHERE status = 'completed' AND coalesce(file_size, 0) > 104857600 … ORDER BY file_size
    DESC LIMIT`. With a window, by the BRIN index on `created_at`; of one user, by the index on `user_id`; else all
    videos are read.
    """
    statement = select(Video).where(
        has_status(VideoStatus.COMPLETED), Video.is_large_file, *within(Video.created_at, since, until)
    )
    if user_id is not None:
        statement = statement.where(Video.user_id == user_id)
    return statement.order_by(Video.file_size.desc(), Video.id).limit(limit)


def _videos_of_user(user_id: UUID, status: VideoStatus | None) -> Select[Video]:
    statement = select(Video).where(Video.user_id == user_id).order_by(*_NEWEST_FIRST)
    return statement if status is None else statement.where(has_status(status))
