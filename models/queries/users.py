"""Users, with and without their videos and profiles."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager, joinedload, load_only, selectinload

from reelsync.models.users import User
from reelsync.models.videos import Video, VideoStatus

from .conditions import among, has_status, within
from .naming import named

# All at once: in the chunks of 500 that selectinload makes, the number of statements would grow with the rows.
# PostgreSQL's protocol takes 32,767 parameters.
_OWNERS_AT_ONCE = 30_000


@named
def active_users(*, after: UUID | None = None, limit: int = 100) -> Select[User]:
    """Users who are active, in the order of their ids, from behind `after` on.

    SQL: `SELECT … FROM users WHERE is_active AND id > :after ORDER BY id LIMIT :limit`, along the primary key.
    """
    statement = select(User).where(User.is_active).order_by(User.id).limit(limit)
    return statement if after is None else statement.where(User.id > after)


@named
def users_with_videos(
    *, ids: Collection[UUID] | None = None, after: UUID | None = None, limit: int = 100
) -> Select[User]:
    """Users with `videos` and `profile` loaded, in the order of their ids; all their videos, in no order.

    SQL, two statements whatever the number of users: `SELECT … FROM users LEFT JOIN user_profiles … ORDER BY id LIMIT`,
    then `SELECT … FROM videos WHERE user_id IN (…)` by the index on it. One JOIN for all would repeat each user for
    each video. For users with thousands of videos, ask for pages of `videos_of_user`.
    """
    statement = (
        select(User)
        .options(joinedload(User.profile), selectinload(User.videos, chunksize=_OWNERS_AT_ONCE))
        .order_by(User.id)
        .limit(limit)
    )
    if ids is not None:
        statement = statement.where(among(User.id, ids))
    return statement if after is None else statement.where(User.id > after)


@named
def user_by_id(user_id: UUID) -> Select[User]:
    """The user with this id, with `profile` loaded.

    SQL: `SELECT … FROM users LEFT JOIN user_profiles … WHERE users.id = :id`, by the primary keys.
    """
    return select(User).options(joinedload(User.profile)).where(User.id == user_id)


@named
def users_by_ids(ids: Collection[UUID]) -> Select[User]:
    """The users with these ids, in the order of their ids.

    SQL: `SELECT … FROM users WHERE id = ANY (:ids) ORDER BY id`, by the primary key.
    """
    return select(User).where(among(User.id, ids)).order_by(User.id)


@named
def user_by_username(username: str) -> Select[User]:
    """The user with this name, letter for letter. One at most is live; of the deleted, several may have had it.

    SQL: `SELECT … FROM users WHERE username = :username`, by the index of `uq_users_username`, which has live users
    only: with `include_deleted`, the whole table is read.
    """
    return select(User).where(User.username == username)


@named
def user_by_email(email: str) -> Select[User]:
    """The user with this address, letter for letter. As for names.

    SQL: `SELECT … FROM users WHERE email = :email`, by the index of `uq_users_email`.
    """
    return select(User).where(User.email == email)


@named
def user_names(ids: Collection[UUID]) -> Select[User]:
    """Users with `id`, `username` and `avatar_url` alone; to read another column raises.

    SQL: `SELECT id, username, avatar_url FROM users WHERE id = ANY (:ids) ORDER BY id`, by the primary key.
    """
    only = load_only(User.id, User.username, User.avatar_url, raiseload=True)
    return select(User).options(only).where(among(User.id, ids)).order_by(User.id)


@named
def users_with_failed_videos(*, since: datetime, until: datetime | None = None) -> Select[User]:
    """Users of whom a video created in the window failed; `videos` holds those videos and no other. Use `.unique()`.

    SQL: one statement, `SELECT … FROM users JOIN videos … WHERE status = 'failed' AND created_at >= :since`, by the
    BRIN index on `created_at`. Users that the session has loaded already get this list in place of their own
    (`populate_existing`), so take a session of its own for it.
    """
    return (
        select(User)
        .join(User.videos)
        .where(has_status(VideoStatus.FAILED), *within(Video.created_at, since, until))
        .options(contains_eager(User.videos))
        .order_by(User.id, Video.created_at.desc(), Video.id.desc())
        .execution_options(populate_existing=True)
    )


@named
def users_with_more_completed_videos_than(
    count: int, *, since: datetime | None = None, until: datetime | None = None
) -> Select[User]:
    """Users with more than `count` completed videos, created in the window.

    SQL: `SELECT … FROM users WHERE id IN (SELECT user_id FROM videos WHERE status = 'completed' … GROUP BY user_id
    HAVING count(*) > :count) ORDER BY id`. With a window, by the BRIN index on `created_at`; without, all videos are
    read.
    """
    busy = (
        select(Video.user_id)
        .where(has_status(VideoStatus.COMPLETED), *within(Video.created_at, since, until))
        .group_by(Video.user_id)
        .having(func.count() > count)
    )
    return select(User).where(User.id.in_(busy)).order_by(User.id)
