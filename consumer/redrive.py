"""Applying name conflicts again: the one kind of dead letter that order makes, and that time mends.

bob is renamed after another bob appears, and the second event arrives first. Singly, swaps and rotations of names would
stay stuck for ever; so all parked conflicts of the group are taken together, and the names their users no longer have
are released first.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events import WireEvent
from events.debezium import Topic

from .backoff import Backoff
from .decode import Located, Rejection, decode
from .errors import Verdict, classify, describe, is_name_conflict
from .projections import targets_of
from .query_timing import timed_commit
from .records import StoredRecord
from .writer import BatchWriter

_log = structlog.get_logger("reelsync.redrive")

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('reelsync.redrive'), hashtext(:consumer_group))")
_PARKED = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, key, value, headers
      FROM dead_letters
     WHERE consumer_group = :consumer_group AND reason = 'conflict' AND state = 'parked'
    """
)
_LOCK_USERS = text("SELECT id, account_version FROM users WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_RELEASE_NAMES = text("UPDATE users SET username = NULL, email = NULL WHERE id = ANY(:ids)")
_CLOSE = text(
    """
    UPDATE dead_letters
       SET state = :state, attempts = attempts + 1, last_attempt_at = now()
     WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition AND "offset" = :offset
       AND record_timestamp = :record_timestamp AND crc = :crc AND state = 'parked'
    """
)


class Letter(NamedTuple):
    """A parked letter, with the event it holds; none if it can no longer be decoded, or was blanked by an erasure."""

    row: RowMapping
    located: Located | None


class Redriven(NamedTuple):
    """How many letters were applied, and how many are parked still."""

    applied: int
    parked: int


async def redrive_conflicts(
    engine: AsyncEngine, group: str, writer: BatchWriter, topics: Mapping[str, Topic], max_value_bytes: int
) -> Redriven:
    """Apply all parked name conflicts of the group, in one transaction. Whoever comes second leaves it to the first."""
    async with engine.connect() as connection:
        if not await _scalar(connection, _LOCK, "redrive.lock", consumer_group=group):
            return Redriven(0, 0)
        rows = await connection.execute(_PARKED, {"consumer_group": group}, execution_options=_named("redrive.parked"))
        letters = [_letter(row, topics, max_value_bytes) for row in rows.mappings()]
        if not letters:
            return Redriven(0, 0)
        events = [letter.located for letter in letters if letter.located is not None]
        await _release_names(connection, events)
        applied = 0
        for letter in sorted(letters, key=_newest_first):
            done = _is_erased(letter) or await _apply(connection, writer, letter.located)
            applied += done
            await _close(connection, group, letter.row, "redriven" if done else "parked")
        await timed_commit(connection)
    return Redriven(applied, len(letters) - applied)


async def redrive_until(
    stop: asyncio.Event,
    wake: asyncio.Event,
    backoff: Backoff,
    redrive: Any,  # noqa: ANN401 - a coroutine function
) -> None:
    """Redrive when woken, and again with back-off while letters stay parked; once at the start for those of before."""
    wake.set()
    while not stop.is_set():
        await _wait_for_any(stop, wake, backoff.next_delay() if not wake.is_set() else None)
        woken, parked = wake.is_set(), 1
        wake.clear()
        if woken:
            backoff.reset()
        try:
            applied, parked = await redrive()
            if applied:
                _log.info("conflicts.redriven", applied=applied, parked=parked)
        except Exception as error:
            if classify(error) is Verdict.BUG:
                raise
            _log.warning("redrive.failed", error=describe(error))
        if not parked:
            # Another consumer of the group may park one and leave, or hold the lock now: look again, but rarely.
            backoff.reset()
            await _wait_for_any(stop, wake, backoff.longest)
            wake.set()


def _letter(row: RowMapping, topics: Mapping[str, Topic], max_value_bytes: int) -> Letter:
    headers = [(name.decode(errors="surrogateescape"), content) for name, content in row["headers"] or ()]
    record = StoredRecord(
        row["topic"], row["partition"], row["offset"], row["record_timestamp"], row["key"], row["value"], headers
    )
    if record.value is None:
        return Letter(row, None)
    event = decode(record, topics, max_value_bytes)
    return Letter(row, None if isinstance(event, Rejection) else Located(record, event))


def _is_erased(letter: Letter) -> bool:
    """Whether the user was erased meanwhile, and the letter blanked: there is nothing left to apply."""
    return letter.row["value"] is None


def _newest_first(letter: Letter) -> Any:  # noqa: ANN401 - a sort key
    if letter.located is None:
        return (0.0, "")
    event = letter.located.event
    return (-event["time"].timestamp(), event["data"]["user_id"])


async def _release_names(connection: AsyncConnection, events: Sequence[Located]) -> None:
    """Lock the letters' users, in order, and free the names of those to whom a letter gives a newer account."""
    ids = sorted({UUID(located.event["data"]["user_id"]) for located in events})
    locked = await connection.execute(_LOCK_USERS, {"ids": ids}, execution_options=_named("redrive.lock_users"))
    accounts = {str(user_id): account_version for user_id, account_version in locked}
    stale = {
        UUID(data["user_id"])
        for data, event in ((located.event["data"], located.event) for located in events)
        if _sets_account(event) and accounts.get(data["user_id"], data["version"]) < data["version"]
    }
    if stale:
        parameters = {"ids": sorted(stale)}
        await connection.execute(_RELEASE_NAMES, parameters, execution_options=_named("redrive.release_names"))


def _sets_account(event: WireEvent) -> bool:
    return any(facet == "account" for target in targets_of(event) for facet, _ in target.facets)


async def _apply(connection: AsyncConnection, writer: BatchWriter, located: Located | None) -> bool:
    if located is None:
        return False
    try:
        async with connection.begin_nested():
            await writer.merge(connection, [located])
    except DBAPIError as error:
        if not is_name_conflict(error):
            raise
        return False
    return True


async def _close(connection: AsyncConnection, group: str, row: RowMapping, state: str) -> None:
    key = {name: row[name] for name in ("topic", "partition", "offset", "record_timestamp", "crc")}
    parameters = {**key, "consumer_group": group, "state": state}
    await connection.execute(_CLOSE, parameters, execution_options=_named("redrive.close"))


async def _scalar(connection: AsyncConnection, statement: Any, name: str, **parameters: object) -> Any:  # noqa: ANN401
    return await connection.scalar(statement, parameters, execution_options=_named(name))


def _named(query_name: str) -> dict[str, str]:
    return {"query_name": query_name}


async def _wait_for_any(stop: asyncio.Event, wake: asyncio.Event, seconds: float | None) -> None:
    waiting = {asyncio.create_task(stop.wait()), asyncio.create_task(wake.wait())}
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
