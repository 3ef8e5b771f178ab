"""Queries on the merged tables: each is one typed SELECT, to be run in a session of `create_session_factory`.

A query does not use the database: it builds the statement that its docstring describes, and the caller runs it, or adds
to it (`.where`, `.limit`, `.execution_options(include_deleted=True)`). The session leaves out deleted rows and
placeholders (`models/visibility.py`). docs/reading.md shows each query at work.
"""

from .costs import costs_by_model, costs_by_user, daily_costs
from .durations import failures_by_code, render_attempts, time_queued, time_rendered
from .pages import Page, VideoPosition, fetch_page
from .statistics import (
    completed_videos_by_user,
    daily_counts_by_status,
    failure_rates,
    failures_of_user,
    processing_time_percentiles,
)
from .users import (
    active_users,
    user_by_email,
    user_by_id,
    user_by_username,
    user_names,
    users_by_ids,
    users_with_failed_videos,
    users_with_more_completed_videos_than,
    users_with_videos,
)
from .videos import (
    large_files,
    newest_video_of_each_user,
    page_of_videos_of_user,
    stuck_videos,
    users_and_videos_by_status,
    video_by_id,
    video_titles_of_user,
    videos_of_user,
)

__all__ = [
    "Page",
    "VideoPosition",
    "active_users",
    "completed_videos_by_user",
    "costs_by_model",
    "costs_by_user",
    "daily_costs",
    "daily_counts_by_status",
    "failure_rates",
    "failures_by_code",
    "failures_of_user",
    "fetch_page",
    "large_files",
    "newest_video_of_each_user",
    "page_of_videos_of_user",
    "processing_time_percentiles",
    "render_attempts",
    "stuck_videos",
    "time_queued",
    "time_rendered",
    "user_by_email",
    "user_by_id",
    "user_by_username",
    "user_names",
    "users_and_videos_by_status",
    "users_by_ids",
    "users_with_failed_videos",
    "users_with_more_completed_videos_than",
    "users_with_videos",
    "video_by_id",
    "video_titles_of_user",
    "videos_of_user",
]
