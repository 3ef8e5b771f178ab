"""Every query of `models.queries`, called as an API would, with what its docstring promises of statements and plans."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import VideoStatus, queries
from tests.queries.filling import BEGIN, DAYS, END, user_id

PK_USERS, PK_VIDEOS = "pk_users", "pk_videos"
OF_USER = "ix_videos_user_id_created_at"
CREATED = "ix_videos_created_at"
UNFINISHED = "ix_videos_unfinished"
FAILED = "ix_videos_failed"
USED = "ix_model_usage_used_at"
STATES = ("ix_video_states_at", "pk_video_states")
DAY = {"since": BEGIN + timedelta(days=DAYS // 2), "until": BEGIN + timedelta(days=DAYS // 2 + 1)}


@dataclass(frozen=True)
class Sample:
    """Arguments that lead to rows."""

    ids: list[UUID]
    """Users who are live."""
    video_id: UUID
    position: queries.VideoPosition

    @property
    def user_id(self) -> UUID:
        return self.ids[0]


Query = Select[Any] | Awaitable[queries.Page[Any]]


@dataclass(frozen=True)
class Case:
    """A call. `scans` names the tables that may be read from end to end."""

    query: str
    call: Callable[[AsyncSession, Sample], Query]
    indexes: set[str]
    statements: int = 1
    scans: set[str] = field(default_factory=set)
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.query}{self.variant and ' '}{self.variant}"


def _case(query: str, *indexes: str, variant: str = "", statements: int = 1, scans: str = "", **given: Any) -> Case:
    """A call of `query` with `given`; callables among those are asked with the sample."""

    def call(_session: AsyncSession, sample: Sample) -> Any:
        values = {name: value(sample) if callable(value) else value for name, value in given.items()}
        return getattr(queries, query)(**values)

    return Case(query, call, set(indexes), statements, set(scans.split()), variant)


def _page(session: AsyncSession, sample: Sample) -> Query:
    return queries.page_of_videos_of_user(session, sample.user_id, limit=20, offset=10)


def _fetched(session: AsyncSession, sample: Sample) -> Query:
    return queries.fetch_page(session, queries.users_by_ids(sample.ids), limit=20)


def _ids(sample: Sample) -> list[UUID]:
    return sample.ids


def _all(sample: Sample) -> int:
    return len(sample.ids)


def _user(sample: Sample) -> UUID:
    return sample.user_id


def _now(_sample: Sample) -> datetime:
    return END


CASES = [
    _case("active_users", PK_USERS),
    _case("active_users", PK_USERS, variant="from an id on", after=_user),
    _case("users_with_videos", PK_USERS, OF_USER, statements=2, limit=_all, scans="user_profiles users"),
    _case(
        "users_with_videos",
        PK_USERS,
        OF_USER,
        statements=2,
        variant="of some",
        ids=_ids,
        limit=_all,
        scans="user_profiles users",
    ),
    _case("user_by_id", PK_USERS, "pk_user_profiles", user_id=_user),
    _case("users_by_ids", PK_USERS, ids=_ids, scans="users"),
    _case("user_by_username", "uq_users_username", username="user_1"),
    _case("user_by_email", "uq_users_email", email="user_1@example.com"),
    _case("user_names", PK_USERS, ids=_ids, scans="users"),
    _case("users_with_failed_videos", CREATED, scans="users", **DAY),
    _case("users_with_more_completed_videos_than", CREATED, count=0, scans="users", **DAY),
    _case("users_with_more_completed_videos_than", count=0, variant="ever", scans="users videos"),
    _case("video_by_id", PK_VIDEOS, "ix_model_usage_video_id", statements=2, video_id=lambda sample: sample.video_id),
    _case("videos_of_user", OF_USER, user_id=_user),
    _case("videos_of_user", OF_USER, variant="next page", user_id=_user, after=lambda sample: sample.position),
    _case("videos_of_user", OF_USER, variant="completed", user_id=_user, status=VideoStatus.COMPLETED),
    Case("page_of_videos_of_user", _page, {OF_USER}, statements=2),
    Case("fetch_page", _fetched, {PK_USERS}, statements=2, scans={"users"}),
    _case("video_titles_of_user", OF_USER, user_id=_user),
    _case("newest_video_of_each_user", OF_USER, variant="of some", user_ids=lambda sample: sample.ids[:50]),
    _case("newest_video_of_each_user", variant="of all", scans="videos"),
    _case("users_and_videos_by_status", UNFINISHED, status=VideoStatus.PROCESSING, scans="users"),
    _case("users_and_videos_by_status", CREATED, variant="failed", status=VideoStatus.FAILED, scans="users", **DAY),
    _case("stuck_videos", UNFINISHED, longer_than=timedelta(hours=1), now=_now),
    _case("large_files", CREATED, **DAY),
    _case("large_files", OF_USER, variant="of a user", user_id=_user),
    _case("completed_videos_by_user", CREATED, **DAY),
    _case("daily_counts_by_status", CREATED, **DAY),
    _case("daily_counts_by_status", OF_USER, variant="of a user", user_id=_user),
    _case("failure_rates", CREATED, **DAY),
    _case("failures_of_user", FAILED, user_id=user_id(4), since=BEGIN, until=END),
    _case("processing_time_percentiles", CREATED, **DAY),
    _case("processing_time_percentiles", OF_USER, variant="of a user", user_id=_user),
    _case("costs_by_model", USED, **DAY),
    _case("costs_by_model", "ix_model_usage_user_id", variant="of a user", user_id=_user),
    _case("costs_by_user", USED, **DAY),
    _case("daily_costs", USED, **DAY),
    _case("daily_costs", "ix_model_usage_user_id", variant="of a user", user_id=_user),
    _case("time_queued", *STATES, **DAY),
    _case("time_rendered", *STATES, **DAY),
    _case("render_attempts", *STATES, **DAY),
    _case("failures_by_code", *STATES, **DAY),
]
