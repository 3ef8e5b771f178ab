"""Numbers about videos, by the time at which they were created, unless a query says otherwise. Days are those of UTC.

All of them add up what is in a window. With one, the BRIN index on `created_at` finds it; without, all videos are read.
Output counts only while a video is completed: a video that is being rendered again is not in it.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Double, Select, cast, func, select, type_coerce

from reelsync.models.videos import Video, VideoStatus

from .conditions import day_of, has_status, within
from .naming import named


@named
def completed_videos_by_user(
    *, at_least: int = 1, since: datetime | None = None, until: datetime | None = None
) -> Select[UUID | None, int, float | None]:
    """Rows of `user_id`, completed `videos`, and their average `processing_time` in seconds; most videos first.

    SQL: `SELECT user_id, count(*), avg(processing_time) FROM videos WHERE status = 'completed' … GROUP BY user_id
    HAVING count(*) >= :at_least ORDER BY count(*) DESC, user_id`.
    """
    average: ColumnElement[float | None] = type_coerce(func.avg(Video.processing_time), Double())
    return (
        select(Video.user_id, func.count().label("videos"), average.label("processing_time"))
        .where(has_status(VideoStatus.COMPLETED), *within(Video.created_at, since, until))
        .group_by(Video.user_id)
        .having(func.count() >= at_least)
        .order_by(func.count().desc(), Video.user_id)
    )


@named
def daily_counts_by_status(
    *, since: datetime | None = None, until: datetime | None = None, user_id: UUID | None = None
) -> Select[date, VideoStatus | None, int]:
    """Rows of `day`, `status`, `videos`: how many created on that day have that status now. Days without are left out.

    The status is NULL while a video's first event with a state has not arrived.

    SQL: `SELECT CAST(timezone('UTC', created_at) AS DATE), status, count(*) FROM videos … GROUP BY 1, 2 ORDER BY 1, 2`.
    """
    day = day_of(Video.created_at).label("day")
    statement = select(day, Video.status, func.count().label("videos")).where(*within(Video.created_at, since, until))
    if user_id is not None:
        statement = statement.where(Video.user_id == user_id)
    return statement.group_by(day, Video.status).order_by(day, Video.status)


@named
def failure_rates(*, since: datetime | None = None, until: datetime | None = None) -> Select[str | None, int, float]:
    """Rows of `error_code`, `videos` that failed with it, and their share (`rate`, 0–1) of all finished; most first.

    Finished are those that are completed or failed now.

    SQL: one pass, `SELECT error_code, videos, videos / finished FROM (SELECT status, error_code, count(*),
    sum(count(*)) OVER () … FROM videos WHERE status IN ('completed', 'failed') … GROUP BY status, error_code) WHERE
    status = 'failed'`.
    """
    finished = (
        select(
            Video.status,
            Video.error_code,
            func.count().label("videos"),
            func.sum(func.count()).over().label("finished"),
        )
        .where(Video.status.in_([VideoStatus.COMPLETED, VideoStatus.FAILED]), *within(Video.created_at, since, until))
        .group_by(Video.status, Video.error_code)
        .subquery()
    )
    rate = cast(finished.c.videos / finished.c.finished, Double)
    return (
        select(finished.c.error_code, finished.c.videos, rate.label("rate"))
        .where(finished.c.status == VideoStatus.FAILED)
        .order_by(finished.c.videos.desc(), finished.c.error_code)
    )


@named
def failures_of_user(
    user_id: UUID, *, since: datetime, until: datetime | None = None
) -> Select[str | None, int, datetime]:
    """Rows of `error_code`, a user's `videos` that failed with it in the window, and the `latest`; most first.

    The window is of `failed_at`: when they failed, not when they were created. A video that was rendered again since
    has no failure any more.

    SQL: `SELECT error_code, count(*), max(failed_at) FROM videos WHERE user_id = :user_id AND status = 'failed' AND
    failed_at >= :since … GROUP BY error_code ORDER BY count(*) DESC, error_code`, by the partial index on
    `(user_id, failed_at)`.
    """
    latest: ColumnElement[datetime] = type_coerce(func.max(Video.failed_at), DateTime(timezone=True))
    return (
        select(Video.error_code, func.count().label("videos"), latest.label("latest"))
        .where(Video.user_id == user_id, has_status(VideoStatus.FAILED), *within(Video.failed_at, since, until))
        .group_by(Video.error_code)
        .order_by(func.count().desc(), Video.error_code)
    )


@named
def processing_time_percentiles(
    *, since: datetime | None = None, until: datetime | None = None, user_id: UUID | None = None
) -> Select[int, float | None, float | None]:
    """One row: `videos`, and `p50` and `p95` of their processing time, seconds, interpolated. NULL without videos.

    SQL: `SELECT count(processing_time), percentile_cont(0.5) WITHIN GROUP (ORDER BY processing_time),
    percentile_cont(0.95) … FROM videos WHERE status = 'completed' …`. PostgreSQL sorts once for both.
    """
    statement = select(
        func.count(Video.processing_time).label("videos"), _percentile(0.5).label("p50"), _percentile(0.95).label("p95")
    ).where(has_status(VideoStatus.COMPLETED), *within(Video.created_at, since, until))
    return statement if user_id is None else statement.where(Video.user_id == user_id)


def _percentile(fraction: float) -> ColumnElement[float | None]:
    return type_coerce(func.percentile_cont(fraction).within_group(Video.processing_time), Double())
