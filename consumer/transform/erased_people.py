"""What events become when they name a person who is erased. Pure.

An erasure must come to the same rows whatever comes first, and what comes later must write nothing personal. So each
event that names the person is replaced: this module says by what. The rows that are there already get the same values
in `consumer/sink/erasure.py`. Nothing that is left depends on when the person was erased, or how often.
"""

import hashlib
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal, cast
from uuid import UUID

from reelsync.consumer.records import Record
from reelsync.events import ERASED_VERSION, WireEvent, canonical_id

ANONYMOUS_USER = str(UUID(int=0))
"""Whose facts are those of an erased person: one id for all of them, so that none can be told from another."""
ERASED_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""`deleted_at` and `updated_at` of their videos. A tombstone of the video's own, which has a later time, wins."""
OWNER_ERASED: Literal["video.owner_erased"] = "video.owner_erased"
"""The type of the event that an event of such a video becomes."""


def digest_of(user_id: str) -> str:
    """What is stored of the id of an erased person, spelt as a UUID. Shadow tables calculate the same in SQL."""
    return str(UUID(bytes=hashlib.sha256(b"reelsync erased user " + user_id.encode()).digest()[:16]))


_ID = re.compile(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")


def named_ids(record: Record) -> set[str]:
    """All ids that stand as text anywhere in a record, valid or not, in lower-case hex with dashes."""
    parts = [record.key, record.value, *(content for _, content in record.headers)]
    parts += [name.encode(errors="surrogateescape") for name, _ in record.headers]
    return {canonical_id(found.decode()) for part in parts if part for found in _ID.findall(part)}


def without_person(event: WireEvent, erased: Collection[str]) -> tuple[WireEvent, ...]:
    """The event, or the event that replaces it if it names one of these users."""
    data = event["data"]
    if data.get("user_id") not in erased or event["type"] == "user.erased":
        return (event,)
    if event["type"] == "model_usage.recorded":
        return (cast("WireEvent", {**event, "data": {**data, "user_id": ANONYMOUS_USER}}),)
    if "video_id" in data:
        return (_owner_erased(event, data["video_id"]),)
    return ()


def _owner_erased(event: WireEvent, video_id: str) -> WireEvent:
    """Keeps the time alone: a video's `created_at` is the earliest of all its events."""
    times = [time for time in (event["time"], event["data"].get("created_at")) if time is not None]
    return {
        "specversion": "1.0",
        # The same for all events of a video, because two events of one version would count as a conflict.
        "id": video_id,
        "source": OWNER_ERASED,
        "type": OWNER_ERASED,
        "time": min(times),
        "subject": None,
        "dataschema": None,
        "data": {"video_id": video_id, "version": ERASED_VERSION},
    }
