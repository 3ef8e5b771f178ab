"""The endpoints. Each runs one or two of the queries that docs/reading.md explains."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import AwareDatetime
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from examples.api.responses import (
    DailyCost,
    Health,
    ModelCost,
    NumberedVideoPage,
    UserDetails,
    UserPage,
    UserSummary,
    VideoDetails,
    VideoOfUser,
    VideoPage,
)
from reelsync.consumer.timing.query_metrics import QueryMetrics
from reelsync.consumer.timing.query_names import QUERIES
from reelsync.consumer.timing.query_timing import attach_query_timing
from reelsync.models import (
    Place,
    VideoStatus,
    create_engine,
    create_session_factory,
    get_pool_stats,
    get_session,
    queries,
    wait_until_applied,
)
from reelsync.models.query_names import Query as QueryName

_STATEMENT_SECONDS = 5.0
"""A request does not wait longer for one answer of the database."""
_APPLIED_SECONDS = 2.0
"""Nor for an event that its client has just caused."""
_QUERIES = QUERIES | {"api.healthz": QueryName("SELECT")}
"""The names of statements, those of `models` and our own."""


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with get_session(request.app.state.sessions) as session:
        yield session


async def _admin_session(request: Request, *, include_deleted: bool = False) -> AsyncIterator[AsyncSession]:
    async with get_session(request.app.state.sessions, include_deleted=include_deleted) as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]
AdminSession = Annotated[AsyncSession, Depends(_admin_session)]
Limit = Annotated[int, Query(ge=1, le=100)]


def create_app(url: str | None = None, group: str | None = None) -> FastAPI:
    """The application on the database at `url`, or at REELSYNC_DATABASE__URL.

    `group` is the consumer group whose rows it shows, by default that of REELSYNC_KAFKA__GROUP_ID.

    Raises:
        ValueError: neither is given.
    """
    url = url or os.environ.get("REELSYNC_DATABASE__URL")
    if not url:
        raise ValueError("which database? Set REELSYNC_DATABASE__URL, as `make demo KEEP=1` prints it")
    engine = create_engine(url, statement_timeout=_STATEMENT_SECONDS, application_name="reelsync-api")
    registry = CollectorRegistry()
    attach_query_timing(engine, QueryMetrics(registry, _QUERIES).query, names=_QUERIES)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(title="reelsync example", lifespan=lifespan)
    app.state.engine, app.state.sessions, app.state.registry = engine, create_session_factory(engine), registry
    app.state.group = group or os.environ.get("REELSYNC_KAFKA__GROUP_ID", "reelsync")
    app.get("/healthz")(healthz)
    app.get("/metrics", include_in_schema=False)(metrics)
    app.get("/users")(list_users)
    app.get("/users/{user_id}")(show_user)
    app.get("/users/{user_id}/videos")(list_videos_of_user)
    app.get("/admin/users/{user_id}/videos")(list_videos_for_admins)
    app.get("/videos")(list_videos_by_status)
    app.get("/videos/{video_id}")(show_video)
    app.get("/costs/daily")(list_daily_costs)
    app.get("/costs/models")(list_costs_by_model)
    return app


async def healthz(request: Request, session: Session) -> Health:
    """Whether the database answers."""
    try:
        await session.execute(text("SELECT 1"), execution_options={"query_name": "api.healthz"})
    except (SQLAlchemyError, OSError) as error:
        raise HTTPException(503, "the database does not answer") from error
    stats = get_pool_stats(request.app.state.engine)
    return Health(status="ok", checked_out=stats.checked_out, invalid=stats.invalid)


async def metrics(request: Request) -> Response:
    """How long each query took, for Prometheus."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


async def list_users(session: Session, after: UUID | None = None, limit: Limit = 50) -> UserPage:
    """Active users, by id."""
    users = (await session.scalars(queries.active_users(after=after, limit=limit))).all()
    return UserPage(
        items=[UserSummary.model_validate(user) for user in users], next=users[-1].id if len(users) == limit else None
    )


async def show_user(session: Session, user_id: UUID) -> UserDetails:
    """A user with their profile."""
    user = (await session.scalars(queries.user_by_id(user_id))).one_or_none()
    if user is None:
        raise HTTPException(404, "no such user")
    return UserDetails.model_validate(user)


async def list_videos_of_user(
    session: Session, user_id: UUID, status: VideoStatus | None = None, after: str | None = None, limit: Limit = 50
) -> VideoPage:
    """A user's videos, newest first, from a position on."""
    try:
        position = queries.VideoPosition.from_token(after) if after is not None else None
    except ValueError as error:
        raise HTTPException(422, f"after: {error}") from None
    videos = (await session.scalars(queries.videos_of_user(user_id, status=status, after=position, limit=limit))).all()
    return VideoPage(
        items=[VideoDetails.of(video) for video in videos],
        next=queries.VideoPosition.of(videos[-1]).to_token() if len(videos) == limit else None,
    )


async def list_videos_for_admins(
    session: AdminSession,
    user_id: UUID,
    status: VideoStatus | None = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> NumberedVideoPage:
    """A user's videos by number of the page, with the total; deleted ones with `include_deleted=true`."""
    page = await queries.page_of_videos_of_user(session, user_id, status=status, limit=limit, offset=offset)
    return NumberedVideoPage(items=[VideoDetails.of(video) for video in page.items], total=page.total)


async def list_videos_by_status(
    session: Session,
    status: VideoStatus,
    since: AwareDatetime,
    until: AwareDatetime | None = None,
    limit: Limit = 50,
) -> list[VideoOfUser]:
    """Videos in a status, with their users, created in a window."""
    rows = await session.execute(queries.users_and_videos_by_status(status, since=since, until=until, limit=limit))
    return [VideoOfUser(username=user.username, video=VideoDetails.of(video)) for user, video in rows]


async def show_video(request: Request, session: Session, video_id: UUID, after: str | None = None) -> VideoDetails:
    """A video; with `after`, as it is once the event at that place is applied (`video-events/0/42`)."""
    if after is not None:
        await _wait_until_applied(session, after, request.app.state.group)
    video = (await session.scalars(queries.video_by_id(video_id))).one_or_none()
    if video is None:
        raise HTTPException(404, "no such video")
    return VideoDetails.of(video)


async def _wait_until_applied(session: AsyncSession, after: str, group: str) -> None:
    try:
        place = Place.parse(after)
    except ValueError as error:
        raise HTTPException(422, f"after: {error}") from None
    outcome = await wait_until_applied(session, place, timeout=_APPLIED_SECONDS, group=group)
    if outcome.state == "dead letter":
        raise HTTPException(409, f"the event was not applied: {outcome.reason}")
    if outcome.state == "timed out":
        raise HTTPException(503, "the event is not applied yet", {"Retry-After": "1"})


async def list_daily_costs(
    session: Session, since: AwareDatetime, until: AwareDatetime | None = None, user_id: UUID | None = None
) -> list[DailyCost]:
    """The timeline of costs."""
    rows = await session.execute(queries.daily_costs(since=since, until=until, user_id=user_id))
    return [DailyCost.model_validate(row) for row in rows]


async def list_costs_by_model(
    session: Session, since: AwareDatetime, until: AwareDatetime | None = None, user_id: UUID | None = None
) -> list[ModelCost]:
    """What each model cost."""
    rows = await session.execute(queries.costs_by_model(since=since, until=until, user_id=user_id))
    return [ModelCost.model_validate(row) for row in rows]
