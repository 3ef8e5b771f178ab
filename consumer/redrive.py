"""Applying name conflicts again: the one kind of dead letter that order makes, and that time mends.

bob is renamed after another bob appears, and the second event arrives first. Singly, swaps and rotations of names would
stay stuck for ever; so all parked conflicts of the group are taken together, and the names their users no longer have
are released first.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events import WireEvent

from .backoff import Backoff
from .decode import Decode, Located, Rejection
from .errors import Verdict, classify, describe, is_name_conflict
from .letters.selection import Selection
from .letters.stored import READ_COLUMNS, Letter, LetterKey, letter_of
from .projections import targets_of
from .query_timing import timed_commit
from .writer import BatchWriter

_log = structlog.get_logger("reelsync.redrive")

_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('reelsync.redrive'), hashtext(:consumer_group))")
_CONFLICTS = Selection(reasons=("conflict",))
_LOCK_USERS = text("SELECT id, account_version FROM users WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_RELEASE_NAMES = text("UPDATE users SET username = NULL, email = NULL WHERE id = ANY(:ids)")
_CLOSE = text(
    """
    UPDATE dead_letters
       SET state = CASE WHEN CAST(:applied AS boolean) THEN 'redriven' ELSE 'parked' END,
           attempts = attempts + 1, last_attempt_at = now(),
           closed_at = CASE WHEN CAST(:applied AS boolean) THEN now() END
     WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition AND "offset" = :offset
       AND record_timestamp = :record_timestamp AND crc = :crc AND state = 'parked'
    """
)


class Conflict(NamedTuple):
    """A parked letter, with the event it holds; none if it can no longer be decoded, or was blanked by an erasure."""

    letter: Letter
    located: Located | None


class Redriven(NamedTuple):
    """How many letters were applied, and how many are parked still."""

    applied: int
    parked: int


async def redrive_conflicts(engine: AsyncEngine, group: str, writer: BatchWriter, decode: Decode) -> Redriven:
    """Apply all parked name conflicts of the group, in one transaction. Whoever comes second leaves it to the first."""
    async with engine.connect() as connection:
        if not await _scalar(connection, _LOCK, "redrive.lock", consumer_group=group):
            return Redriven(0, 0)
        query = select(*READ_COLUMNS).where(*_CONFLICTS.conditions(group))
        rows = await connection.execute(query, execution_options=_named("redrive.parked"))
        conflicts = [_conflict(letter_of(row), decode) for row in rows.mappings()]
        if not conflicts:
            return Redriven(0, 0)
        events = [conflict.located for conflict in conflicts if conflict.located is not None]
        await _release_names(connection, events)
        applied = 0
        for letter, located in sorted(conflicts, key=_newest_first):
            done = letter.is_blank or await _apply(connection, writer, located)
            applied += done
            await _close(connection, group, letter.key, applied=done)
        await timed_commit(connection)
    return Redriven(applied, len(conflicts) - applied)


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


def _conflict(letter: Letter, decode: Decode) -> Conflict:
    event = None if letter.is_blank else decode(letter.record)
    return Conflict(letter, None if event is None or isinstance(event, Rejection) else Located(letter.record, event))


def _newest_first(conflict: Conflict) -> Any:  # noqa: ANN401 - a sort key
    if conflict.located is None:
        return (0.0, "")
    event = conflict.located.event
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


async def _close(connection: AsyncConnection, group: str, key: LetterKey, *, applied: bool) -> None:
    parameters = {**key._asdict(), "consumer_group": group, "applied": applied}
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
