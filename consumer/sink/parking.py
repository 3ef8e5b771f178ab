"""Dead letters in PostgreSQL: parked with their batch, and blanked when their user or video is erased."""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.records import record_crc
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.erased_people import named_ids
from reelsync.models import DeadLetter

from .erasure import Erased, ErasedPeople

# Parking and erasing must not miss each other: whoever parks shares the lock, whoever erases has it alone, and the
# statement that follows sees what the other committed. Taken after all row locks of the batch, released by COMMIT.
# Both modes need a right to write, so nobody who may only read can hold up a batch, as an advisory lock would let him.
_LOCK_TO_PARK = text("LOCK TABLE erasure_lock IN ROW EXCLUSIVE MODE")
_LOCK_TO_ERASE = text("LOCK TABLE erasure_lock IN SHARE ROW EXCLUSIVE MODE")

# A letter belongs to the aggregate that its key names and, if it was corrected, to that of the corrected event too.
_ERASE = text(
    """
    UPDATE dead_letters d
       SET key = NULL, value = NULL, headers = NULL, named_ids = NULL,
           corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL
     WHERE (d.aggregate_id = ANY(:ids) OR d.corrected_aggregate_id = ANY(:ids))
       AND (d.headers IS NOT NULL OR d.corrected_headers IS NOT NULL)
       AND (EXISTS (SELECT FROM users u WHERE u.id IN (d.aggregate_id, d.corrected_aggregate_id)
                                          AND u.version >= 4611686018427387904)
         OR EXISTS (SELECT FROM videos v WHERE v.id IN (d.aggregate_id, d.corrected_aggregate_id)
                                           AND v.version >= 4611686018427387904))
    """
)

# A letter of a person is also one that names the person anywhere. What an earlier release parked was not looked
# through: that is read now. Nothing is kept that could be from the record, nor what an operator wrote about it.
_OF_PEOPLE = """
        d.named_ids && CAST(:ids AS uuid[])
        OR d.aggregate_id = ANY(:ids)
        OR (d.corrected_aggregate_id IS NOT NULL AND d.corrected_aggregate_id = ANY(:ids))
        OR (d.named_ids IS NULL AND d.headers IS NOT NULL
            AND encode((SELECT string_agg(part, convert_to(' ', 'UTF8')) FROM unnest(
                  ARRAY[d.key, d.value, d.corrected_key, d.corrected_value]
                  || ARRAY(SELECT unnest(d.headers)) || ARRAY(SELECT unnest(d.corrected_headers))) AS p(part)),
                'escape') ~* :pattern)
"""
_COUNT = text(f"SELECT count(*) FROM dead_letters d WHERE {_OF_PEOPLE}")  # noqa: S608 - text of ours
_FORGET = text(
    f"""
    UPDATE dead_letters d
       SET key = NULL, value = NULL, headers = NULL, named_ids = NULL,
           corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL,
           event_id = NULL, detail = '{{}}',
           aggregate_id = CASE WHEN NOT d.aggregate_id = ANY(:ids) THEN d.aggregate_id END,
           corrected_aggregate_id =
             CASE WHEN NOT d.corrected_aggregate_id = ANY(:ids) THEN d.corrected_aggregate_id END,
           audit = (SELECT COALESCE(jsonb_agg(entry - 'because' ORDER BY n), '[]')
                      FROM jsonb_array_elements(d.audit) WITH ORDINALITY AS a(entry, n))
     WHERE {_OF_PEOPLE}
    """  # noqa: S608 - likewise
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
        for name in ("key", "value", "headers", "named_ids")
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
    connection: AsyncConnection, group: str, rejections: Sequence[Rejection], erased: Erased, people: ErasedPeople
) -> None:
    """Park the rejected records byte for byte, and blank the letters of those who were `erased`.

    A record that was parked before is parked again and counted, unless it was discarded. A letter of a person, user or
    video that is erased already is blank from the start.
    """
    if not rejections and not erased.people and not erased.aggregates:
        return
    await lock(connection, alone=bool(erased.aggregates))
    if rejections:
        named = [named_ids(rejection.record) for rejection in rejections]
        gone = await people.among(connection, {one for ids in named for one in ids})
        rows = [_row(group, rejection, ids, gone) for rejection, ids in zip(rejections, named, strict=True)]
        await connection.execute(
            _PARK, sorted(rows, key=_key_of), execution_options={"query_name": "dead_letters.park"}
        )
    await forget_people(connection, erased.people)
    ids = {rejection.aggregate_id for rejection in rejections} - {None} | set(map(UUID, erased.aggregates))
    await blank_erased(connection, ids)


async def forget_people(connection: AsyncConnection, user_ids: Collection[str]) -> int:
    """Blank all letters that name one of these people, and take their ids from those that are blank; how many."""
    if not user_ids:
        return 0
    options = {"query_name": "dead_letters.forget"}
    done = await connection.execute(_FORGET, _sought(user_ids), execution_options=options)
    return done.rowcount


async def count_of_people(connection: AsyncConnection, user_ids: Collection[str]) -> int:
    """How many letters name one of these people."""
    options = {"query_name": "dead_letters.count"}
    return int(await connection.scalar(_COUNT, _sought(user_ids), execution_options=options) or 0)


def _sought(user_ids: Collection[str]) -> dict[str, Any]:
    pattern = "|".join(user_id.replace("-", "-?") for user_id in sorted(user_ids))
    return {"ids": sorted(map(UUID, user_ids)), "pattern": pattern}


async def lock(connection: AsyncConnection, *, alone: bool) -> None:
    """Take the erasure lock: shared to write payloads or ids into letters, `alone` to blank letters."""
    statement = _LOCK_TO_ERASE if alone else _LOCK_TO_PARK
    await connection.execute(statement, execution_options={"query_name": "dead_letters.lock"})


async def blank_erased(connection: AsyncConnection, ids: Collection[UUID | None]) -> int:
    """Blank the letters of those of these users and videos that are erased; how many."""
    if not ids:
        return 0
    options = {"query_name": "dead_letters.erase"}
    return (await connection.execute(_ERASE, {"ids": list(ids)}, execution_options=options)).rowcount


def _row(group: str, rejection: Rejection, named: Collection[str], gone: AbstractSet[str]) -> dict[str, Any]:
    """The row of a letter. If its record names somebody who is `gone`, nothing of the record is in it."""
    record = rejection.record
    row: dict[str, Any] = {
        "consumer_group": group,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_timestamp": record.timestamp,
        "crc": record_crc(record),
        "key": record.key,
        "value": record.value,
        "headers": [[name.encode(errors="surrogateescape"), content] for name, content in record.headers],
        "named_ids": sorted(map(UUID, named)),
        "stage": rejection.stage,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "event_id": rejection.event_id,
        "event_type": rejection.event_type,
        "aggregate_id": rejection.aggregate_id,
    }
    if gone.isdisjoint(named):
        return row
    row |= dict.fromkeys(("key", "value", "headers", "named_ids", "event_id"))
    aggregate_id = None if str(row["aggregate_id"]) in gone else row["aggregate_id"]
    return row | {"detail": {}, "aggregate_id": aggregate_id}
