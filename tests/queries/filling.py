"""Databases filled by SQL alone: many rows in seconds, the same every time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import md5
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

Filled = Callable[[int, int], Awaitable[str]]
"""Gives the URL of a database with so many users and videos."""

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 200
END = BEGIN + timedelta(days=DAYS)

_USERS = """
    INSERT INTO users (id, username, email, version, account_version, created_at, updated_at, deleted_at)
    SELECT md5('user ' || i)::uuid, 'user_' || i, 'user_' || i || '@example.com',
           CASE WHEN i % 70 = 0 THEN 0 ELSE 1 END, 1, :begin, :begin,
           CASE WHEN i % 50 = 0 THEN CAST(:begin AS timestamptz) END
    FROM generate_series(1, :users) AS i
"""
_PROFILES = """
    INSERT INTO user_profiles (user_id, full_name, profile_version, created_at, updated_at)
    SELECT id, 'Somebody', 1, created_at, updated_at FROM users
"""
_VIDEOS = """
    INSERT INTO videos (id, user_id, title, status, progress, error_code, failed_at, started_at, output_url,
                        processing_time, file_size, version, details_version, state_version, created_at, updated_at,
                        deleted_at)
    SELECT md5('video ' || i)::uuid, md5('user ' || CASE WHEN i % 10 = 4 THEN 1 ELSE 1 + i % :users END)::uuid,
           'Video ' || i, status,
           CASE status WHEN 'completed' THEN 100 ELSE 0 END,
           CASE status WHEN 'failed' THEN 'error_' || i % 7 END, CASE status WHEN 'failed' THEN at END, at,
           CASE status WHEN 'completed' THEN 'https://cdn.example.com/' || i END,
           CASE status WHEN 'completed' THEN i % 100 + 1 END,
           CASE status WHEN 'completed' THEN i % 1000 * 200000 END,
           CASE WHEN i % 90 = 1 THEN 0 ELSE 3 END, 1, 3, at, at, CASE WHEN i % 60 = 1 THEN at END
    FROM (SELECT i, CAST(:begin AS timestamptz) + i * CAST(:step AS interval) AS at,
                 CASE WHEN i % 400 = 0 THEN 'processing' WHEN i % 400 = 2 THEN 'pending'
                      WHEN i % 10 = 3 THEN 'failed' ELSE 'completed' END AS status
          FROM generate_series(1, :videos) AS i) AS made
"""
_USAGE = """
    INSERT INTO model_usage (id, video_id, user_id, model_name, input_units, output_units, cost_usd,
                             used_at, created_at, updated_at)
    SELECT id, id, user_id, 'model-' || file_size % 3, 100, 10, 0.25, created_at, created_at, created_at
    FROM videos WHERE status = 'completed' ORDER BY created_at
"""

_STATES = """
    INSERT INTO video_states (video_id, version, status, at, error_code)
    SELECT id, given.version, given.status, created_at + given.version * interval '10 seconds',
           CASE given.status WHEN 'failed' THEN 'render_timeout' END
    FROM videos CROSS JOIN unnest(ARRAY['pending', 'processing', 'failed', 'processing', 'completed'])
                           WITH ORDINALITY AS given(status, version)
    ORDER BY created_at, given.version
"""

# With the key made at the end, in half of the time.
_WITHOUT_KEY = "ALTER TABLE video_states DROP CONSTRAINT pk_video_states"
_WITH_KEY = "ALTER TABLE video_states ADD CONSTRAINT pk_video_states PRIMARY KEY (video_id, version)"


def user_id(number: int) -> UUID:
    """The id of user `number`, from 1 on. Every fiftieth is deleted."""
    return UUID(md5(f"user {number}".encode(), usedforsecurity=False).hexdigest())


def video_id(number: int) -> UUID:
    """The id of video `number`, from 1 on, of user `1 + number % users`; every tenth, from 4 on, is of user 1."""
    return UUID(md5(f"video {number}".encode(), usedforsecurity=False).hexdigest())


async def fill(url: str, *, users: int, videos: int) -> None:
    """Make these many rows, over 200 days; then do what autovacuum would: statistics, and summaries for BRIN."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    given = {"users": users, "videos": videos, "begin": BEGIN, "step": timedelta(days=DAYS) / videos}
    async with engine.connect() as connection:
        for statement in map(text, (_USERS, _PROFILES, _VIDEOS, _USAGE, _WITHOUT_KEY, _STATES, _WITH_KEY)):
            await connection.execute(statement, {name: given[name] for name in statement.compile().params})
        await connection.execute(text("VACUUM (ANALYZE) users, user_profiles, videos, model_usage, video_states"))
    await engine.dispose()
