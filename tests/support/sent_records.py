"""Records for the oracle, and what it says of the rows."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from reelsync.consumer.operations.verify.changes import Row
from reelsync.testing.expected_tables import expected_tables

USER, OTHER_USER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
VIDEO, USAGE = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOON_MS = 1_767_614_400_000
OUTPUT: dict[str, Any] = {
    "output_url": "https://x.example/1.mp4",
    "duration_seconds": 1.5,
    "processing_time": 2.5,
    "file_size": 9,
}
ACCOUNT: dict[str, Any] = {"username": "amber_1", "email": "amber_1@example.com"}


class Sent(NamedTuple):
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int = NOON_MS
    topic: str = "video-events"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def sent(event_type: str, time: str, data: dict[str, Any]) -> Sent:
    document = {"specversion": "1.0", "id": "1", "source": "/t", "type": event_type, "time": time, "data": data}
    return Sent(orjson.dumps(document))


def video(kind: str, version: int, minutes: float | None = None, owner: str = USER, **data: Any) -> Sent:
    """An event of the video; its time is `version` minutes after noon unless told."""
    ids = {"video_id": VIDEO, "user_id": owner, "version": version}
    return sent(f"video.{kind}", at(version if minutes is None else minutes).isoformat(), ids | data)


def user(kind: str, version: int, minutes: float | None = None, **data: Any) -> Sent:
    time = at(version if minutes is None else minutes)
    return sent(f"user.{kind}", time.isoformat(), {"user_id": USER, "version": version} | data)


def usage(**data: Any) -> Sent:
    ids = {"usage_id": USAGE, "video_id": VIDEO, "user_id": USER, "model_name": "voice-2"}
    return sent("model_usage.recorded", at(1).isoformat(), ids | data)


def erasure(topic: str, row_id: str, timestamp_ms: int = NOON_MS) -> Sent:
    return Sent(None, row_id.encode(), (), timestamp_ms, topic)


def the_video(*records: Sent) -> Row:
    return expected_tables(records)["videos"][VIDEO]


def the_user(*records: Sent) -> Row:
    return expected_tables(records)["users"][USER]


def part(row: Row, *columns: str) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


def state(row: Row) -> tuple[Any, ...]:
    return part(row, "status", "progress", "error_code", "error_message", "failed_at", "state_version")
