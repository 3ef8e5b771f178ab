"""How long videos waited and were rendered, and how often: from the states that events gave them, in video_states.

The table is empty unless REELSYNC_BATCH__VIDEO_STATES is set. A row belongs to the day (UTC) on which what it tells of
ended. Deleted videos count; of erased ones nothing is known. A state that is said again goes on: a row change of
another database tells the status whatever it changed. With a window, the BRIN index on `at` finds the videos, and the
primary key the states of each; else all states are read.

SQL of all: `SELECT … FROM (SELECT DISTINCT video_id FROM video_states WHERE …) JOIN LATERAL (SELECT …, lag(at) OVER
(ORDER BY version) FROM video_states …) ON true WHERE … GROUP BY … ORDER BY …`, one statement.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Select,
    Subquery,
    cast,
    extract,
    func,
    select,
    true,
    type_coerce,
)

from reelsync.models.videos import VideoState, VideoStatus

from .conditions import day_of, within
from .naming import named


@named
def time_queued(*, since: datetime | None = None, until: datetime | None = None) -> Select[date, int, float, float]:
    """Rows of `day`, `videos` whose rendering began, and `p50` and `p95` of the seconds that they were pending before.

    SQL: see above; `percentile_cont(…) WITHIN GROUP (ORDER BY at - before_at)` in a SELECT by day.
    """
    change = _changes([VideoStatus.PROCESSING], since, until)
    day, p50, p95 = day_of(change.c.at).label("day"), _percentile(0.5, change), _percentile(0.95, change)
    return (
        select(day, func.count().label("videos"), p50.label("p50"), p95.label("p95"))
        .where(
            change.c.status == VideoStatus.PROCESSING,
            change.c.before == VideoStatus.PENDING,
            *within(change.c.at, since, until),
        )
        .group_by(day)
        .order_by(day)
    )


@named
def time_rendered(
    *, since: datetime | None = None, until: datetime | None = None
) -> Select[date, VideoStatus, int, float, float]:
    """Rows of `day`, `status` (completed or failed), `attempts` that ended so, `p50` and `p95` of their seconds.

    SQL: see above; `percentile_cont(…) WITHIN GROUP (ORDER BY at - before_at)` in a SELECT by day and status.
    """
    ends = [VideoStatus.COMPLETED, VideoStatus.FAILED]
    change = _changes(ends, since, until)
    day, p50, p95 = day_of(change.c.at).label("day"), _percentile(0.5, change), _percentile(0.95, change)
    return (
        select(day, change.c.status, func.count().label("attempts"), p50.label("p50"), p95.label("p95"))
        .where(
            change.c.status.in_(ends),
            change.c.before == VideoStatus.PROCESSING,
            *within(change.c.at, since, until),
        )
        .group_by(day, change.c.status)
        .order_by(day, change.c.status)
    )


@named
def render_attempts(
    *, since: datetime | None = None, until: datetime | None = None
) -> Select[date, int, int, int, int]:
    """Rows of `day`, completed `renders`, all their `attempts`, and `p50` and `p95` of the attempts of one render.

    A video that is rendered again after it was completed is another render. One whose beginning is not known is left
    out.

    SQL: see above; `percentile_disc(…) WITHIN GROUP (ORDER BY attempts)` in a SELECT by day of a SELECT by render.
    """
    change = _changes([VideoStatus.COMPLETED], since, until)
    render = (
        select(
            func.max(change.c.at).filter(change.c.status == VideoStatus.COMPLETED).label("at"),
            func.count().filter(change.c.status == VideoStatus.PROCESSING).label("attempts"),
        )
        .group_by(change.c.video_id, change.c.render)
        .subquery("renders")
    )
    day = day_of(render.c.at).label("day")
    p50, p95 = (
        type_coerce(func.percentile_disc(fraction).within_group(render.c.attempts), BigInteger)
        for fraction in (0.5, 0.95)
    )
    attempts = cast(func.sum(render.c.attempts), BigInteger)
    return (
        select(day, func.count().label("renders"), attempts.label("attempts"), p50.label("p50"), p95.label("p95"))
        .where(render.c.at.is_not(None), render.c.attempts > 0, *within(render.c.at, since, until))
        .group_by(day)
        .order_by(day)
    )


@named
def failures_by_code(
    *, since: datetime | None = None, until: datetime | None = None
) -> Select[date, str | None, int, int]:
    """Rows of `day`, `error_code`, `failures`, and `videos` that failed so; of a day the most frequent code first.

    SQL: see above; `count(*), count(DISTINCT video_id)` in a SELECT by day and code.
    """
    change = _changes([VideoStatus.FAILED], since, until)
    day = day_of(change.c.at).label("day")
    failures, videos = func.count(), func.count(change.c.video_id.distinct())
    return (
        select(day, change.c.error_code, failures.label("failures"), videos.label("videos"))
        .where(change.c.status == VideoStatus.FAILED, *within(change.c.at, since, until))
        .group_by(day, change.c.error_code)
        .order_by(day, failures.desc(), change.c.error_code)
    )


def _changes(into: Sequence[VideoStatus], since: datetime | None, until: datetime | None) -> Subquery:
    """All changes of state of the videos that came `into` one of these in the window, each with the state before it.

    `render` numbers the renders of a video: it counts those that were completed before.
    """
    found = (
        select(VideoState.video_id)
        .where(VideoState.status.in_(into), *within(VideoState.at, since, until))
        .distinct()
        .subquery("found")
    )
    said = (
        select(
            VideoState.version,
            VideoState.status,
            VideoState.at,
            VideoState.error_code,
            func.lag(VideoState.status).over(order_by=VideoState.version).label("said_before"),
        )
        .where(VideoState.video_id == found.c.video_id)
        .correlate(found)
        .subquery("said")
    )
    completed = func.count().filter(said.c.status == VideoStatus.COMPLETED)
    change = (
        select(
            said.c.status,
            said.c.at,
            said.c.error_code,
            func.lag(said.c.status).over(order_by=said.c.version).label("before"),
            func.lag(said.c.at).over(order_by=said.c.version).label("before_at"),
            completed.over(order_by=said.c.version, rows=(None, -1)).label("render"),
        )
        .where(said.c.status.is_distinct_from(said.c.said_before))
        .lateral("change")
    )
    return select(found, change).select_from(found.join(change, true())).subquery("changes")


def _percentile(fraction: float, change: Subquery) -> ColumnElement[float]:
    seconds = cast(extract("epoch", change.c.at - change.c.before_at), Double)
    return type_coerce(func.percentile_cont(fraction).within_group(seconds), Double())
