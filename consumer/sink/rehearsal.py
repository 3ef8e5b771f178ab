"""Writing a made-up batch and undoing it: whatever would be refused of every batch is found before the first one."""

import time
from uuid import uuid4

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.postgres.sqlstate import LOCK_NOT_AVAILABLE, sqlstate
from reelsync.consumer.records import Partition, Span, StoredRecord
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from reelsync.consumer.transform.fold import Fold

from .writer import BatchWriter

_PLACE = Partition("reelsync check", 0)
_MAX_BYTES = 1_000


async def rehearse(engine: AsyncEngine, group: str, *, skip_if_locked: bool) -> None:
    """Write what a batch writes (a position, rows, a dead letter) in one transaction that is rolled back.

    No lock is waited for. If somebody has locked a table, nothing is found out, which is an error unless
    `skip_if_locked`.

    Raises:
        Exception: the database refuses it.
    """
    try:
        await BatchWriter(engine, group).rehearse(_made_up_batch())
    except DBAPIError as error:
        if not skip_if_locked or sqlstate(error) != LOCK_NOT_AVAILABLE:
            raise


def _made_up_batch() -> Batch:
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/reelsync/check",
        "type": "video.created",
        "time": "2026-01-05T10:00:00Z",
        "data": {"video_id": str(uuid4()), "user_id": str(uuid4()), "version": 1, "title": "Never committed"},
    }
    now = round(time.time() * 1000)
    records = [
        StoredRecord(*_PLACE, offset, now, None, value, ()) for offset, value in enumerate((orjson.dumps(event), b"-"))
    ]
    decode = decoder({_PLACE.topic: "video"}, _MAX_BYTES)
    batch = Batch(0, decode, Fold)
    batch.add(records, [decode(record) for record in records])
    batch.extend({_PLACE: Span(0, len(records))}, {_PLACE: records[-1]})
    return batch
