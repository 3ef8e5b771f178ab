"""Applying dead letters again: those that decode now, because the consumer was upgraded or the record corrected.

A letter goes the way of any record: decode, fold, merge. The merge does not mind order or repetition, so a letter may
be applied beside a running consumer, after newer events of its aggregate, and twice. What must be right is the
bookkeeping, and that commits with the rows.

Nothing is locked while letters are read. They are closed last, if nobody changed them meanwhile; else the transaction
is rolled back, and they are read again. So locks are taken in the order in which a batch takes them, rows before
letters, and the consumer never waits for a letter that is being worked on.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from consumer.backoff import Backoff
from consumer.dead_letters import blank_erased, lock
from consumer.decode import Decode, Located, Rejection
from consumer.errors import ReelsyncError, Verdict, classify, describe
from consumer.query_timing import timed_commit
from consumer.writer import BatchWriter
from events import ERASED_VERSION, aggregate_id
from models.upsert import JsonText

from .reading import next_letters
from .selection import Selection
from .stored import KEY_NAMES, KEY_TYPES, Letter, LetterKey
from .turns import take_turn

LETTERS_AT_ONCE = 1_000
_ATTEMPTS = 20

_CLOSE = text(
    f"""
    WITH r AS MATERIALIZED (
      SELECT * FROM json_to_recordset(:rows) AS r(
        n int, {KEY_TYPES}, row_version text, applied boolean, stage text, reason text, detail jsonb,
        event_id text, event_type text, aggregate_id uuid)),
    held AS MATERIALIZED (
      SELECT r.* FROM dead_letters d JOIN r USING (topic, partition, "offset", record_timestamp, crc)
       WHERE d.consumer_group = :consumer_group AND d.state = 'parked' AND CAST(d.xmin AS text) = r.row_version
       ORDER BY r.n
         FOR NO KEY UPDATE OF d)
    UPDATE dead_letters d
       SET state = CASE WHEN h.applied THEN 'redriven' ELSE 'parked' END,
           closed_at = CASE WHEN h.applied THEN now() END,
           stage = COALESCE(h.stage, d.stage),
           reason = COALESCE(h.reason, d.reason),
           detail = COALESCE(h.detail, d.detail),
           event_id = COALESCE(h.event_id, d.event_id),
           event_type = COALESCE(h.event_type, d.event_type),
           aggregate_id = COALESCE(d.aggregate_id, h.aggregate_id),
           attempts = d.attempts + 1, redrives = d.redrives + 1, last_attempt_at = now()
      FROM held h
     WHERE d.consumer_group = :consumer_group
       AND (d.topic, d.partition, d."offset", d.record_timestamp, d.crc)
         = (h.topic, h.partition, h."offset", h.record_timestamp, h.crc)
    """  # noqa: S608 - a constant
).bindparams(bindparam("rows", type_=JsonText()))


class Outcome(NamedTuple):
    """What came of one letter: applied, with the event that it held unless it was blank; or why not."""

    letter: Letter
    verdict: Located | Rejection | None

    @property
    def is_applied(self) -> bool:
        """Whether nothing is left to be done. What a blank letter said is erased, above every version."""
        return not isinstance(self.verdict, Rejection)


@dataclass
class Tally:
    """What came of letters so far. `still`: those parked still, by reason; `last`: the letter attempted last."""

    applied: int = 0
    blank: int = 0
    still: Counter[str] = field(default_factory=Counter)
    last: LetterKey | None = None

    @property
    def attempted(self) -> int:
        """Letters that were attempted."""
        return self.applied + self.blank + self.still.total()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes, in the order of their keys."""
        for _, verdict in outcomes:
            if isinstance(verdict, Rejection):
                self.still[verdict.reason] += 1
            elif verdict is None:
                self.blank += 1
            else:
                self.applied += 1
        self.last = outcomes[-1].letter.key


class _ChangedError(Exception):
    """Somebody else changed a letter while it was being applied."""


def verdict_on(letter: Letter, decode: Decode) -> Outcome:
    """What the record of a letter decodes to now."""
    if letter.is_blank:
        return Outcome(letter, None)
    event = decode(letter.record)
    return Outcome(letter, event if isinstance(event, Rejection) else Located(letter.record, event))


@dataclass
class Redrive:
    """Redrives letters of one group, name conflicts excepted: they go together (`consumer/redrive.py`)."""

    engine: AsyncEngine
    group: str
    writer: BatchWriter
    decode: Decode
    at_once: int = LETTERS_AT_ONCE

    async def run(self, selection: Selection, tell: Callable[[Tally], None] = lambda _: None) -> Tally:
        """Attempt each of the selected letters once, in the order of their keys, some in each transaction.

        What is committed stays if the run ends early; run again, it goes on with what is parked still. `tell` is told
        after each transaction.

        Raises:
            ReelsyncError: the database refuses again and again.
            Exception: the database cannot be used; what was committed stays.
        """
        tally, backoff, at_once = Tally(), Backoff(), self.at_once
        while True:
            try:
                outcomes = await self._attempt(selection, at_once)
            except Exception as error:  # noqa: BLE001 - raised there unless it passes
                at_once = await _next_size(error, at_once, backoff)
                continue
            if not outcomes:
                return tally
            backoff.reset()
            at_once = min(self.at_once, at_once * 2)
            tally.add(outcomes)
            tell(tally)
            selection = replace(selection, after=tally.last)

    async def _attempt(self, selection: Selection, at_once: int) -> list[Outcome]:
        async with self.engine.connect() as connection:
            await take_turn(connection, self.group)
            letters = await next_letters(connection, self.group, selection, at_once)
            if not letters:
                return []
            outcomes = [verdict_on(letter, self.decode) for letter in letters]
            events = [verdict for _, verdict in outcomes if isinstance(verdict, Located)]
            refused = {
                id(rejection.record): rejection for rejection in await self.writer.merge_carefully(connection, events)
            }
            outcomes = [Outcome(letter, refused.get(id(letter.record), verdict)) for letter, verdict in outcomes]
            await _close(connection, self.group, outcomes)
            await timed_commit(connection)
        return outcomes


async def _close(connection: AsyncConnection, group: str, outcomes: Sequence[Outcome]) -> None:
    """Count the attempts, and close what was applied.

    Raises:
        _ChangedError: a letter is not as it was read.
    """
    rows = [_row(number, outcome) for number, outcome in enumerate(outcomes)]
    erased = {UUID(row["aggregate_id"]) for row, outcome in zip(rows, outcomes, strict=True) if _erases(outcome)}
    await lock(connection, alone=bool(erased))
    parameters = {"consumer_group": group, "rows": orjson.dumps(rows).decode()}
    closed = await connection.execute(_CLOSE, parameters, execution_options={"query_name": "dead_letters.close"})
    if closed.rowcount != len(rows):
        raise _ChangedError
    ids = {UUID(row["aggregate_id"]) for row in rows if row["aggregate_id"]}
    await blank_erased(connection, ids)


def _row(number: int, outcome: Outcome) -> dict[str, Any]:
    letter, verdict = outcome
    row: dict[str, Any] = dict(zip(KEY_NAMES, letter.key, strict=True))
    row |= {"n": number, "row_version": letter.row["row_version"], "applied": outcome.is_applied, "aggregate_id": None}
    if isinstance(verdict, Rejection):
        row |= {"stage": verdict.stage, "reason": verdict.reason, "detail": verdict.detail}
        row |= {"event_id": verdict.event_id, "event_type": verdict.event_type}
        row["aggregate_id"] = verdict.aggregate_id and str(verdict.aggregate_id)
    elif verdict is not None:
        event = verdict.event
        row |= {"event_id": event["id"], "event_type": event["type"], "aggregate_id": aggregate_id(event)}
    return row


def _erases(outcome: Outcome) -> bool:
    verdict = outcome.verdict
    return isinstance(verdict, Located) and verdict.event["data"].get("version", 0) >= ERASED_VERSION


async def _next_size(error: Exception, at_once: int, backoff: Backoff) -> int:
    """How many letters to try next, after waiting a little; what no other attempt mends is raised.

    A deadlock is among what is tried again. Neither this nor a batch locks in an order that makes one, but others may.
    """
    verdict = Verdict.AGAIN if isinstance(error, _ChangedError) else classify(error)
    if verdict not in {Verdict.AGAIN, Verdict.HALVE}:
        raise error
    if backoff.attempts >= _ATTEMPTS:
        message = (
            f"the database refused {_ATTEMPTS} times in a row ({describe(error)}): see pg_stat_activity for what holds "
            "the rows. What was committed stays; run it again to go on"
        )
        raise ReelsyncError(message) from error
    await backoff.wait()
    return max(1, at_once // 2) if verdict is Verdict.HALVE else at_once
