"""Applies name conflicts again: the one kind of dead letter that the order of events makes, and that may resolve.

bob is renamed after another bob appears, and the second event arrives first. One by one, swaps and rotations of names
would stay in conflict for ever. So all that depend on each other are applied together, and the names that their users
no longer have are released first. Those that do not depend on each other are applied in several transactions, because a
transaction blocks whatever a batch writes to its users.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import RowMapping, select, text, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe, is_name_conflict
from reelsync.consumer.sink.erasure import ErasedPeople
from reelsync.consumer.sink.refusals import refusal, without_conflicts
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.decode import Decode, Located, Rejection

from .name_groups import Claim, Tie, account_of, parts_of, ties_of
from .outcomes import ChangedError, Outcome, close, verdict_on
from .queries import all_letters
from .selection import Selection
from .table import KEY_COLUMNS, READ_COLUMNS, LetterKey, has_turn, letter_of

_log = structlog.get_logger("reelsync.redrive")

_CONFLICTS = Selection(reasons=("conflict",))
_NAMES = text("SELECT id, username, email FROM users WHERE id = ANY(:ids)")
_LOCK_USERS = text("SELECT id, account_version FROM users WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
_RELEASE_NAMES = text("UPDATE users SET username = NULL, email = NULL WHERE id = ANY(:ids)")
_LETTERS_AT_ONCE = 200


class Redriven(NamedTuple):
    """How many letters were applied, and how many stayed parked."""

    applied: int
    parked: int


async def redrive_conflicts(
    engine: AsyncEngine, group: str, writer: BatchWriter, decode: Decode, at_once: int = _LETTERS_AT_ONCE
) -> Redriven:
    """Apply all parked name conflicts of the group: those that depend on each other in one transaction.

    Whoever comes second leaves it to the first. What somebody else is working on stays parked for the next time, and so
    do those whose statements the database ends: what does not depend on them is then tried without them.
    """
    applied = parked = 0
    claims = {claim.letter: claim for claim in await _claims(engine, group, decode)}
    parts = deque(await asyncio.to_thread(list, parts_of(claims.values(), at_once)))
    while parts:
        keys = parts.popleft()
        try:
            done = await _redrive_together(engine, group, writer, decode, keys)
        except ChangedError:
            done = Redriven(0, len(keys))
        except Exception as error:
            if not isinstance(error, DBAPIError) or classify(error) is Verdict.OUTAGE:
                raise
            smallest = list(parts_of((claims[key] for key in keys), 1))
            if len(smallest) > 1:
                parts.extendleft(reversed(smallest))
                continue
            _log.warning("redrive.passed_over", letter=str(keys[0]), letters=len(keys), error=describe(error))
            done = Redriven(0, len(keys))
        if done is None:
            break
        applied, parked = applied + done.applied, parked + done.parked
    return Redriven(applied, parked)


async def _claims(engine: AsyncEngine, group: str, decode: Decode) -> list[Claim]:
    """What each parked conflict is about; nothing if another process is redriving them.

    No row is locked. If names change before a letter is attempted, it stays parked until the next redrive.
    """
    claims: list[Claim] = []
    async with engine.connect() as connection:
        if not await has_turn(connection, group, "redrive", "redrive.lock"):
            return []
        async for letters in all_letters(connection, group, _CONFLICTS):
            outcomes = [verdict_on(letter, decode) for letter in letters]
            ids = sorted({UUID(located.event["data"]["user_id"]) for located in _located(outcomes)})
            rows = await connection.execute(_NAMES, {"ids": ids}, execution_options=_named("redrive.names"))
            held = {str(row["id"]): row for row in rows.mappings()}
            await connection.rollback()
            claims += [Claim(letter.key, _ties(verdict, held)) for letter, verdict in outcomes]
    return claims


async def _redrive_together(
    engine: AsyncEngine, group: str, writer: BatchWriter, decode: Decode, keys: Sequence[LetterKey]
) -> Redriven | None:
    """Apply those of these letters that are still parked, in one transaction; None if another process is redriving.

    Raises:
        ChangedError: a letter was changed meanwhile, or is being changed.
    """
    async with engine.connect() as connection:
        if not await has_turn(connection, group, "redrive", "redrive.lock"):
            return None
        query = select(*READ_COLUMNS).where(*_CONFLICTS.conditions(group), tuple_(*KEY_COLUMNS).in_(keys))
        rows = await connection.execute(query.order_by(*KEY_COLUMNS), execution_options=_named("redrive.parked"))
        outcomes = [verdict_on(letter_of(row), decode) for row in rows.mappings()]
        if not outcomes:
            return Redriven(0, 0)
        # In the order of a batch: before any row is locked, whoever erases people is waited for.
        await ErasedPeople().among(connection, ())
        await _release_names(connection, _located(outcomes))
        refusals = await _apply_all(connection, writer, sorted(_located(outcomes), key=_newest_first))
        refused = {id(rejection.record): rejection for rejection in refusals}
        outcomes = [_settled(outcome, refused.get(id(outcome.letter.record))) for outcome in outcomes]
        await close(connection, group, outcomes, by_operator=False)
        await connection.commit()
    applied = sum(outcome.is_applied for outcome in outcomes)
    return Redriven(applied, len(outcomes) - applied)


def _ties(verdict: Located | Rejection | None, held: Mapping[str, RowMapping]) -> tuple[Tie, ...]:
    if not isinstance(verdict, Located):
        return ()
    row = held.get(verdict.event["data"]["user_id"])
    return ties_of(verdict.event, dict(row) if row else {})


def _located(outcomes: Iterable[Outcome]) -> list[Located]:
    return [verdict for _, verdict in outcomes if isinstance(verdict, Located)]


def _settled(outcome: Outcome, refused: Rejection | None) -> Outcome:
    """The final outcome. A letter that cannot be decoded, perhaps by this release only, stays a name conflict."""
    if isinstance(outcome.verdict, Rejection):
        detail = outcome.letter.row["detail"]
        return outcome._replace(verdict=Rejection(outcome.letter.record, "write", "conflict", detail))
    return outcome._replace(verdict=refused) if refused else outcome


async def redrive_until(
    stop: asyncio.Event,
    wake: asyncio.Event,
    backoff: Backoff,
    redrive: Any,
) -> None:
    """Redrive once at the start, when woken, and again with back-off while letters stay parked."""
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
            # Another consumer of the group may park a conflict and leave, or hold the lock: check again, but rarely.
            backoff.reset()
            await _wait_for_any(stop, wake, backoff.longest)
            wake.set()


def _newest_first(located: Located) -> Any:
    return (-located.event["time"].timestamp(), located.event["data"]["user_id"])


async def _release_names(connection: AsyncConnection, events: Sequence[Located]) -> None:
    """Lock the letters' users, in order, and release the names of users to whom a letter gives a newer account."""
    ids = sorted({UUID(located.event["data"]["user_id"]) for located in events})
    locked = await connection.execute(_LOCK_USERS, {"ids": ids}, execution_options=_named("redrive.lock_users"))
    accounts = {str(user_id): account_version for user_id, account_version in locked}
    stale = {
        UUID(data["user_id"])
        for data, event in ((located.event["data"], located.event) for located in events)
        if account_of(event) is not None and accounts.get(data["user_id"], data["version"]) < data["version"]
    }
    if stale:
        parameters = {"ids": sorted(stale)}
        await connection.execute(_RELEASE_NAMES, parameters, execution_options=_named("redrive.release_names"))


async def _apply_all(connection: AsyncConnection, writer: BatchWriter, events: Sequence[Located]) -> list[Rejection]:
    """Merge the events whose names are free, in order; returns the rejections of the others."""
    possible, refused = await without_conflicts(connection, events, singly=True)
    if possible and await _apply(connection, writer, possible):
        # A name was taken meanwhile.
        refused += [rejection for one in possible if (rejection := await _apply(connection, writer, [one]))]
    return refused


async def _apply(connection: AsyncConnection, writer: BatchWriter, events: Sequence[Located]) -> Rejection | None:
    """Merge events in one statement; returns the rejection of the first one if a name belongs to another user."""
    try:
        async with connection.begin_nested():
            await writer.merge(connection, events)
    except DBAPIError as error:
        if not is_name_conflict(error):
            raise
        return refusal(events[0], error)
    return None


def _named(query_name: str) -> dict[str, str]:
    return {"query_name": query_name}


async def _wait_for_any(stop: asyncio.Event, wake: asyncio.Event, seconds: float | None) -> None:
    waiting = {asyncio.create_task(stop.wait()), asyncio.create_task(wake.wait())}
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
