"""Events as bytes, valid or not, with numbers for ids; what a test does not care about is filled in by the plugin."""

import json
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from reelsync.testing.builders import DEFAULTS

START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def an_id(number: int) -> str:
    """The id that the test calls `number`."""
    return str(UUID(int=(0x5EED << 112) + number, version=4))


def structured(event_type: str, data: dict[str, Any], *, at: datetime | None = None, **attributes: Any) -> bytes:
    """A structured event."""
    document = {
        "specversion": "1.0",
        "id": f"{event_type}-{data.get('version', data.get('usage_id'))}",
        "source": "/tests",
        "type": event_type,
        "time": (at or START + timedelta(seconds=data.get("version", 0))).isoformat(),
        "data": data,
    }
    return json.dumps(document | attributes).encode()


def video(kind: str, number: int = 1, version: int = 1, owner: int = 1, **data: Any) -> bytes:
    """An event of video `number`."""
    titles = {"created": {"title": f"Video {number}"}, "updated": {"title": f"Video {number}, again"}}
    ids = {"video_id": an_id(number), "user_id": an_id(1000 + owner), "version": version}
    return _of_type(f"video.{kind}", ids | titles.get(kind, {}) | data)


def user(kind: str, number: int = 1, version: int = 1, **data: Any) -> bytes:
    """An event of user `number`."""
    account = {"username": f"user_{number}", "email": f"user{number}@example.com"}
    named = account if kind in {"created", "updated"} else {}
    return _of_type(f"user.{kind}", {"user_id": an_id(1000 + number), "version": version} | named | data)


def usage(number: int = 1, of_video: int = 1, owner: int = 1, **data: Any) -> bytes:
    """A fact of model usage."""
    ids = {"usage_id": an_id(2000 + number), "video_id": an_id(of_video), "user_id": an_id(1000 + owner)}
    return _of_type("model_usage.recorded", ids | data)


def _of_type(event_type: str, data: dict[str, Any]) -> bytes:
    return structured(event_type, DEFAULTS.get(event_type, {}) | data)


def record(value: bytes | None, offset: int = 0, **fields: Any) -> Any:
    """A Kafka record."""
    defaults = {"topic": "video-events", "partition": 0, "timestamp": 1_767_607_200_000, "key": None, "headers": ()}
    return SimpleNamespace(value=value, offset=offset, **(defaults | fields))


def shuffled(items: list[Any], seed: int) -> list[Any]:
    """The same items in another order."""
    return random.Random(seed).sample(items, len(items))
