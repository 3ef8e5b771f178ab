"""Dead letters in PostgreSQL: parked with their batch, and blanked when their user or video is erased."""

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.records import record_crc
from reelsync.consumer.transform.decode import Rejection
from reelsync.models import DeadLetter

# Parking and erasing must not miss each other: whoever parks shares the lock, whoever erases has it alone, and the
# statement that follows sees what the other committed. Taken after all row locks of the batch, released by COMMIT.
# Both modes need a right to write, so nobody who may only read can hold up a batch, as an advisory lock would let him.
_LOCK_TO_PARK = text("LOCK TABLE erasure_lock IN ROW EXCLUSIVE MODE")
_LOCK_TO_ERASE = text("LOCK TABLE erasure_lock IN SHARE ROW EXCLUSIVE MODE")

# A letter belongs to the aggregate that its key names and, if it was corrected, to that of the corrected event too.
_ERASE = text(
    """
    UPDATE dead_letters d
       SET key = NULL, value = NULL, headers = NULL,
           corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL
     WHERE (d.aggregate_id = ANY(:ids) OR d.corrected_aggregate_id = ANY(:ids))
       AND (d.headers IS NOT NULL OR d.corrected_headers IS NOT NULL)
       AND (EXISTS (SELECT FROM users u WHERE u.id IN (d.aggregate_id, d.corrected_aggregate_id)
                                          AND u.version >= 4611686018427387904)
         OR EXISTS (SELECT FROM videos v WHERE v.id IN (d.aggregate_id, d.corrected_aggregate_id)
                                           AND v.version >= 4611686018427387904))
    """
)


def _park_statement() -> Any:
    table: Any = DeadLetter.__table__
    parked = insert(table)
    sent = parked.excluded
    again = {name: sent[name] for name in ("stage", "reason", "detail", "last_attempt_at")}
    # A letter without payload, because its retention was over, gets it again. A corrected one stays as it is: the
    # aggregate of the corrected event may have been erased since, and the received record does not show that.
    whole = {
        name: case((table.c.corrected_aggregate_id.is_(None), sent[name]), else_=table.c[name])
        for name in ("key", "value", "headers")
    }
    # A later decision may know the aggregate, which an erasure needs; it never knows less than an earlier one.
    known = {name: func.coalesce(sent[name], table.c[name]) for name in ("event_id", "event_type", "aggregate_id")}
    return parked.on_conflict_do_update(
        constraint="pk_dead_letters",
        set_={**again, **whole, **known, "attempts": table.c.attempts + 1, "state": "parked", "closed_at": None},
        where=table.c.state != "discarded",
    )


_PARK = _park_statement()
_key_of = itemgetter("topic", "partition", "offset", "record_timestamp", "crc")


async def settle(
    connection: AsyncConnection, group: str, rejections: Sequence[Rejection], erased: Collection[str]
) -> None:
    """Park the rejected records byte for byte, and blank the letters of the users and videos that were `erased`.

    A record that was parked before is parked again and counted, unless it was discarded. A letter of a user or video
    that is erased already is blank from the start.
    """
    if not rejections and not erased:
        return
    await lock(connection, alone=bool(erased))
    if rejections:
        rows = sorted((_row(group, rejection) for rejection in rejections), key=_key_of)
        await connection.execute(_PARK, rows, execution_options={"query_name": "dead_letters.park"})
    ids = {rejection.aggregate_id for rejection in rejections} - {None} | set(map(UUID, erased))
    await blank_erased(connection, ids)


async def lock(connection: AsyncConnection, *, alone: bool) -> None:
    """Take the erasure lock: shared to write payloads or ids into letters, `alone` to blank letters."""
    statement = _LOCK_TO_ERASE if alone else _LOCK_TO_PARK
    await connection.execute(statement, execution_options={"query_name": "dead_letters.lock"})


async def blank_erased(connection: AsyncConnection, ids: Collection[UUID | None]) -> None:
    """Blank the letters of those of these users and videos that are erased."""
    if ids:
        await connection.execute(_ERASE, {"ids": list(ids)}, execution_options={"query_name": "dead_letters.erase"})


def _row(group: str, rejection: Rejection) -> dict[str, Any]:
    record = rejection.record
    return {
        "consumer_group": group,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_timestamp": record.timestamp,
        "crc": record_crc(record),
        "key": record.key,
        "value": record.value,
        "headers": [[name.encode(errors="surrogateescape"), content] for name, content in record.headers],
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "event_id": rejection.event_id,
        "event_type": rejection.event_type,
        "aggregate_id": rejection.aggregate_id,
    }
