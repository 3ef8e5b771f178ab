"""Rows as the consumer makes them: events through its own writer."""

import json
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.records import Partition
from tests.support.builders import record
from tests.support.writing import write_all

_EVENTS = Partition("video-events", 0)


def at(time: datetime, event: bytes) -> bytes:
    """The event, as if it had happened then."""
    return json.dumps(json.loads(event) | {"time": time.isoformat()}).encode()


async def merge(engine: AsyncEngine, *events: bytes) -> None:
    """Merge these events as one batch, states of videos too. None of them may be refused."""
    records = [record(event, offset) for offset, event in enumerate(events)]
    (written,) = await write_all(engine, [records], _EVENTS)
    assert not written.rejections
