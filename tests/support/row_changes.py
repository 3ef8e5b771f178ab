"""Records as Debezium writes them: captured ones, and envelopes with what a test does not care about filled in."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, plan
from reelsync.events.debezium import OutboxTopic, RowChangeTopic, Topic
from tests.support.builders import an_id, record
from tests.support.decoding import decode

CAPTURED = Path(__file__).parents[1] / "debezium"
USERS, VIDEOS, VIDEO_OUTBOX = "studio.public.users", "studio.public.videos", "outbox.event.video"
CAPTURED_AT = 1_767_607_200_000
"""2026-01-05T10:00:00Z, milliseconds."""
AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


def captured_records(file: str = "records.jsonl") -> list[Any]:
    """The records of a file in `tests/debezium`."""
    lines = (CAPTURED / file).read_text().splitlines()
    return [_as_record(json.loads(line)) for line in lines]


def _as_record(fields: dict[str, Any]) -> Any:
    encoded = {name: fields[name] and fields[name].encode() for name in ("key", "value")}
    headers = [(name, content and content.encode()) for name, content in fields["headers"]]
    return SimpleNamespace(**(fields | encoded | {"headers": headers}))


def topics(version: str = "source.lsn", deletes: str = "soft_delete", **more: Any) -> dict[str, Topic]:
    """Topics of row changes of users and of videos, and one that the outbox event router fills."""
    options = {"version": version, "deletes": deletes, **more}
    return {
        USERS: RowChangeTopic.model_validate({"aggregate": "user", **options}),
        VIDEOS: RowChangeTopic.model_validate({"aggregate": "video", **options}),
        VIDEO_OUTBOX: OutboxTopic(aggregate="video"),
    }


def video_row(number: int = 1, owner: int = 1, **columns: Any) -> dict[str, Any]:
    """A row of an upstream table of videos, with all columns that have a facet."""
    nothing = dict.fromkeys(
        (
            "description",
            "avatar_id",
            "voice_id",
            "language",
            "resolution",
            "error_code",
            "error_message",
            "failed_at",
            "started_at",
        )
    )
    no_output = dict.fromkeys(
        ("output_url", "thumbnail_url", "duration_seconds", "processing_time", "file_size", "completed_at")
    )
    ids = {"id": an_id(number), "user_id": an_id(1000 + owner)}
    return ids | {"title": f"Video {number}", "status": "pending", "progress": 0} | nothing | no_output | columns


def user_row(number: int = 1, **columns: Any) -> dict[str, Any]:
    """A row of an upstream table of users."""
    account = {"username": f"user_{number}", "email": f"user{number}@example.com", "avatar_url": None}
    others = {"is_active": True, "preferences": '{"theme": "dark"}', "last_login_at": None}
    return {"id": an_id(1000 + number)} | account | others | columns


def envelope(op: str, row: dict[str, Any] | None, *, lsn: int = 1, at_ms: int = CAPTURED_AT, **more: Any) -> bytes:
    """A change of `row`: of its new state, or of its last one if it was removed."""
    before, after = (row, None) if op == "d" else (None, row)
    source = {"connector": "postgresql", "lsn": lsn, "ts_ms": at_ms, "ts_us": at_ms * 1000}
    return json.dumps({"before": before, "after": after, "source": source, "op": op, "ts_ms": at_ms} | more).encode()


def key_of(row_id: str) -> bytes:
    """The key of a row's records."""
    return json.dumps({"id": row_id}).encode()


def row_change(op: str, row: dict[str, Any], **options: Any) -> Any:
    """A record of one change, in the topic of the table that the row is of."""
    topic = VIDEOS if "title" in row else USERS
    return record(envelope(op, row, **options), topic=topic, key=key_of(row["id"]))


def verdict_on(found: Any, **options: Any) -> Any:
    return decode(found, topics(**options), 20_000)


def event_of(found: Any, **options: Any) -> Any:
    event = verdict_on(found, **options)
    assert not isinstance(event, Rejection), event.detail
    return event


def problems_of(found: Any, **options: Any) -> dict[str, str]:
    verdict = verdict_on(found, **options)
    assert isinstance(verdict, Rejection), verdict
    return {problem["path"]: problem["code"] for problem in verdict.detail["problems"]}


def rows_of(*events: Any) -> dict[str, list[dict[str, Any]]]:
    statements = plan(Fold(events)).statements(Missing((), ()))
    return {statement.table: json.loads(statement.rows) for statement in statements}
