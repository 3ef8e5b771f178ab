"""FastStream's batch subscriber with Pydantic, and SQLAlchemy's upsert of a list of values.

As their documentation shows: https://faststream.ag2.ai/latest/kafka/Subscriber/batch_subscriber/ and
https://docs.sqlalchemy.org/en/21/dialects/postgresql.html#insert-on-conflict-upsert. What a team must add for
events that carry a part of the columns: events of one video in one batch are put together (ON CONFLICT takes no row
twice), and COALESCE keeps what an event does not carry.
"""

import asyncio
from typing import Any
from uuid import UUID

from faststream import FastStream
from faststream.kafka import KafkaBroker
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.contenders.assignment import SESSION_MS, Assignment, read_assignment
from benchmarks.contenders.team_events import VideoEvent
from reelsync.models.upsert import table_of
from reelsync.models.videos import Video

_MAX_RECORDS = 500
"""A statement of asyncpg takes 32,767 parameters."""
_VIDEOS = table_of(Video)
_KEPT = {"id", "created_at"}
_COLUMNS = (
    *("id", "user_id", "title", "description", "avatar_id", "voice_id", "language", "resolution", "status", "progress"),
    *("started_at", "output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size", "completed_at"),
    *("version", "created_at", "updated_at"),
)


async def main(assignment: Assignment) -> None:
    """Consume until stopped."""
    engine = create_async_engine(assignment.database_url)
    broker = KafkaBroker(assignment.bootstrap_servers, logger=None)
    done = 0

    @broker.subscriber(
        assignment.topic,
        batch=True,
        max_records=_MAX_RECORDS,
        group_id=assignment.group,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_MS,
    )
    async def on_events(events: list[VideoEvent]) -> None:
        nonlocal done
        rows = _rows(events)
        statement = insert(_VIDEOS).values(rows)
        changes = {
            name: func.coalesce(statement.excluded[name], _VIDEOS.c[name]) for name in _COLUMNS if name not in _KEPT
        }
        async with engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes))
        done += len(events)
        print(done, flush=True)

    await FastStream(broker).run()


def _rows(events: list[VideoEvent]) -> list[dict[str, Any]]:
    merged: dict[UUID, dict[str, Any]] = {}
    for event in events:
        merged.setdefault(event.data.video_id, {"created_at": event.time}).update(event.columns())
    return [{name: row.get(name) for name in _COLUMNS} for row in merged.values()]


if __name__ == "__main__":
    asyncio.run(main(read_assignment()))
