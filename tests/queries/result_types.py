"""What mypy says the results are. Checked, never run: see test_types.py."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import assert_type
from uuid import UUID

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from reelsync.models import (
    PoolStats,
    User,
    Video,
    VideoStatus,
    create_session_factory,
    get_pool_stats,
    get_session,
    queries,
)


async def entities(session: AsyncSession, key: UUID, day: datetime) -> None:
    assert_type(queries.active_users(), Select[User])
    assert_type((await session.scalars(queries.users_with_videos())).all(), Sequence[User])
    assert_type((await session.scalars(queries.user_by_id(key))).one_or_none(), User | None)
    assert_type((await session.scalars(queries.users_by_ids([key]))).all(), Sequence[User])
    assert_type((await session.scalars(queries.user_by_username("ada"))).one_or_none(), User | None)
    assert_type((await session.scalars(queries.user_by_email("a@b"))).one_or_none(), User | None)
    assert_type((await session.scalars(queries.user_names([key]))).all(), Sequence[User])
    assert_type((await session.scalars(queries.users_with_failed_videos(since=day))).unique().all(), Sequence[User])
    assert_type((await session.scalars(queries.users_with_more_completed_videos_than(3))).all(), Sequence[User])
    assert_type((await session.scalars(queries.video_by_id(key))).one_or_none(), Video | None)
    assert_type((await session.scalars(queries.videos_of_user(key))).all(), Sequence[Video])
    assert_type((await session.scalars(queries.video_titles_of_user(key))).all(), Sequence[Video])
    assert_type((await session.scalars(queries.newest_video_of_each_user())).all(), Sequence[Video])
    assert_type((await session.scalars(queries.stuck_videos(timedelta(hours=1)))).all(), Sequence[Video])
    assert_type((await session.scalars(queries.large_files())).all(), Sequence[Video])
    assert_type(await queries.page_of_videos_of_user(session, key), queries.Page[Video])
    assert_type(await queries.fetch_page(session, queries.active_users(), limit=1), queries.Page[User])


async def rows(session: AsyncSession, key: UUID, day: datetime) -> None:
    pairs = await session.execute(queries.users_and_videos_by_status(VideoStatus.FAILED))
    assert_type(pairs.all(), Sequence[Row[User, Video]])
    for user, video in pairs:
        assert_type(user, User)
        assert_type(video, Video)
    completed = await session.execute(queries.completed_videos_by_user())
    assert_type(completed.all(), Sequence[Row[UUID | None, int, float | None]])
    counts = await session.execute(queries.daily_counts_by_status())
    assert_type(counts.all(), Sequence[Row[date, VideoStatus | None, int]])
    assert_type((await session.execute(queries.failure_rates())).all(), Sequence[Row[str | None, int, float]])
    failed = (await session.execute(queries.failures_of_user(key, since=day))).all()
    assert_type(failed, Sequence[Row[str | None, int, datetime]])
    times = await session.execute(queries.processing_time_percentiles())
    assert_type(times.one(), Row[int, float | None, float | None])
    models = await session.execute(queries.costs_by_model())
    assert_type(models.all(), Sequence[Row[str, int, Decimal, int, int]])
    users = await session.execute(queries.costs_by_user())
    assert_type(users.all(), Sequence[Row[UUID, int, Decimal, int, int]])
    assert_type((await session.execute(queries.daily_costs())).all(), Sequence[Row[date, int, Decimal]])
    assert_type((await session.execute(queries.time_queued())).all(), Sequence[Row[date, int, float, float]])
    rendered = await session.execute(queries.time_rendered())
    assert_type(rendered.all(), Sequence[Row[date, VideoStatus, int, float, float]])
    assert_type((await session.execute(queries.render_attempts())).all(), Sequence[Row[date, int, int, int, int]])
    failures = await session.execute(queries.failures_by_code())
    assert_type(failures.all(), Sequence[Row[date, str | None, int, int]])


async def sessions(engine: AsyncEngine) -> None:
    async with get_session(create_session_factory(engine)) as session:
        assert_type(session, AsyncSession)
    assert_type(get_pool_stats(engine), PoolStats)
