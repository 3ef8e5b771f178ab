"""Closed letters: they are blanked after the retention, and deleted when an operator purges them.

A running consumer may blank letters, but not delete them. Parked letters are kept for as long as no operator decides. A
record that is read again is parked again, with its content.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe

from .table import take_turn

LETTERS_AT_ONCE = 500


_CLOSED = "consumer_group = :consumer_group AND state <> 'parked' AND last_attempt_at < now() - CAST(:age AS interval)"

# The second condition uses the index. Discarding changes only closed_at, and the first release set neither column.
_EXPIRED = f"{_CLOSED} AND COALESCE(closed_at, last_attempt_at) < now() - CAST(:age AS interval)"


_BLANK = text(
    f"""
    UPDATE dead_letters
       SET key = NULL, value = NULL, headers = NULL, named_ids = NULL,
           corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL
     WHERE ctid = ANY(ARRAY(
       SELECT ctid FROM dead_letters
        WHERE {_EXPIRED} AND headers IS NOT NULL
        ORDER BY topic, partition, "offset"
        LIMIT :at_once FOR NO KEY UPDATE SKIP LOCKED))
    """
)

# Corrections that an erasure by a consumer of the first release left: that release has no corrections.
_BLANK_CORRECTIONS = text(
    """
    UPDATE dead_letters d
       SET key = NULL, value = NULL, headers = NULL, named_ids = NULL,
           corrected_key = NULL, corrected_value = NULL, corrected_headers = NULL
     WHERE d.consumer_group = :consumer_group
       AND d.corrected_aggregate_id IS NOT NULL AND (d.headers IS NOT NULL OR d.corrected_headers IS NOT NULL)
       AND (d.headers IS NULL
         OR EXISTS (SELECT FROM users u WHERE u.id = d.corrected_aggregate_id AND u.version >= 4611686018427387904)
         OR EXISTS (SELECT FROM videos v WHERE v.id = d.corrected_aggregate_id AND v.version >= 4611686018427387904))
    """
)

_COUNT = text(f"SELECT count(*) FROM dead_letters WHERE {_EXPIRED}")

_DELETE = text(
    f"""
    DELETE FROM dead_letters
     WHERE ctid = ANY(ARRAY(
       SELECT ctid FROM dead_letters WHERE {_EXPIRED}
        ORDER BY topic, partition, "offset"
        LIMIT :at_once FOR UPDATE SKIP LOCKED))
    """
)


async def blank_expired(engine: AsyncEngine, group: str, age: timedelta | None, at_once: int = LETTERS_AT_ONCE) -> int:
    """Blank the letters that were closed longer ago than `age`, some in each transaction; returns how many.

    Without an age, only letters of erased users and videos are blanked.
    """
    async with engine.begin() as connection:
        await connection.execute(
            _BLANK_CORRECTIONS, {"consumer_group": group}, execution_options={"query_name": "dead_letters.expire"}
        )
    blanked = 0
    while age is not None:
        async with engine.begin() as connection:
            done = await connection.execute(
                _BLANK, _parameters(group, age, at_once), execution_options={"query_name": "dead_letters.expire"}
            )
        blanked += done.rowcount
        if done.rowcount < at_once:
            break
    return blanked


async def count_expired(connection: AsyncConnection, group: str, age: timedelta) -> int:
    """How many letters were closed longer ago than `age`."""
    parameters = {"consumer_group": group, "age": age}
    return int(await connection.scalar(_COUNT, parameters, execution_options={"query_name": "dead_letters.count"}) or 0)


async def purge(
    engine: AsyncEngine,
    group: str,
    age: timedelta,
    at_once: int = LETTERS_AT_ONCE,
    tell: Callable[[int], None] = lambda _: None,
) -> int:
    """Delete the letters that were closed longer ago than `age`; returns how many. Needs the right to DELETE.

    `tell` is called after each transaction with the number so far.
    """
    purged = 0
    while True:
        async with engine.begin() as connection:
            await take_turn(connection, group)
            done = await connection.execute(
                _DELETE, _parameters(group, age, at_once), execution_options={"query_name": "dead_letters.purge"}
            )
        purged += done.rowcount
        tell(purged)
        if done.rowcount < at_once:
            return purged


def _parameters(group: str, age: timedelta, at_once: int) -> dict[str, object]:
    return {"consumer_group": group, "age": age, "at_once": at_once}


_EVERY_SECONDS = 3_600.0


_log = structlog.get_logger("reelsync.letters")


async def expire_until(
    stop: asyncio.Event, expire: Callable[[], Awaitable[int]], every: float = _EVERY_SECONDS
) -> None:
    """Blank what has expired, at the start and every hour. Waits while the database is away."""
    backoff = Backoff()
    while not stop.is_set():
        wait = every
        try:
            blanked = await expire()
            backoff.reset()
            if blanked:
                _log.info("letters.expired", blanked=blanked)
        except Exception as error:
            if classify(error) is Verdict.BUG:
                raise
            _log.warning("letters.expiring_failed", error=describe(error))
            wait = min(every, backoff.next_delay())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
