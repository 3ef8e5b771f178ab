"""Names of statements, for the timing of queries: the execution option `query_name`.

A name becomes a label of metrics, so names are a closed set: these, and those that a program adds for its own
statements. A query is named after its function, and a statement that writes after its table.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession


class Query(NamedTuple):
    """What a named statement does, as OpenTelemetry asks: its SQL keyword, and the table that it is about."""

    operation: str
    collection: str = ""


_READ = {
    "users": (
        "active_users",
        "user_by_email",
        "user_by_id",
        "user_by_username",
        "user_names",
        "users_by_ids",
        "users_with_failed_videos",
        "users_with_more_completed_videos_than",
        "users_with_videos",
    ),
    "videos": (
        "completed_videos_by_user",
        "daily_counts_by_status",
        "failure_rates",
        "failures_of_user",
        "large_files",
        "newest_video_of_each_user",
        "page_of_videos_of_user",
        "processing_time_percentiles",
        "stuck_videos",
        "users_and_videos_by_status",
        "video_by_id",
        "video_titles_of_user",
        "videos_of_user",
    ),
    "model_usage": ("costs_by_model", "costs_by_user", "daily_costs"),
    "video_states": ("failures_by_code", "render_attempts", "time_queued", "time_rendered"),
}
_MERGED = ("users", "user_profiles", "videos")
_FACTS = ("model_usage", "video_states")
_TABLES = (*_MERGED, *_FACTS, "consumer_offsets", "dead_letters")

MODEL_QUERIES: dict[str, Query] = {
    **{f"queries.{name}": Query("SELECT", table) for table, names in _READ.items() for name in names},
    "queries.fetch_page": Query("SELECT"),
    "queries.wait_until_applied": Query("SELECT", "consumer_offsets"),
    **{f"{table}.merge": Query("INSERT", table) for table in (*_MERGED, *_FACTS)},
    **{f"{table}.lock": Query("SELECT", table) for table in _MERGED},
    **{f"{table}.insert": Query("INSERT", table) for table in _TABLES},
    **{f"{table}.update": Query("UPDATE", table) for table in _TABLES},
    **{f"{table}.delete": Query("DELETE", table) for table in _TABLES},
    "users.create_with_videos": Query("INSERT", "users"),
}
"""The statements of `models`: its queries, and what `reelsync.models.writing` and `reelsync.models.services` send."""


@asynccontextmanager
async def named_by_connection(session: AsyncSession, query_name: str) -> AsyncIterator[None]:
    """Name the statements of the block that cannot be named one by one: a flush's, and a bulk UPDATE by primary key."""
    connection = await session.connection()
    before = await connection.run_sync(lambda sync: sync.get_execution_options().get("query_name"))
    _ = await connection.execution_options(query_name=query_name)
    try:
        yield
    finally:
        _ = await connection.execution_options(query_name=before)
