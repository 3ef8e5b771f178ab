"""Applying dead letters again that can be decoded now, because the consumer was upgraded or the record corrected.

A letter is decoded, folded and merged like any record. The merge does not depend on order or repetition, so a letter
may be applied beside a running consumer, after newer events of its aggregate, and twice. The state of the letter is
committed together with the rows.

Nothing is locked while letters are read. They are closed last, if they were not changed meanwhile; otherwise the
transaction is rolled back and they are read again. So locks are taken in the order of a batch, rows before letters, and
a consumer never waits for a letter that is being redriven.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.decode import Decode, Located, Rejection

from .outcomes import ChangedError, Outcome, close, verdict_on
from .queries import next_letters
from .selection import Selection
from .table import LetterKey, take_turn

LETTERS_AT_ONCE = 1_000
_ATTEMPTS = 3

_log = structlog.get_logger("reelsync.redrive")


@dataclass
class Tally:
    """The outcomes so far. `still`: letters that stayed parked, by reason; `last`: the last letter attempted."""

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


@dataclass
class Redrive:
    """Redrives letters of one group, except name conflicts, which are redriven together (`name_conflicts`)."""

    engine: AsyncEngine
    group: str
    writer: BatchWriter
    decode: Decode
    at_once: int = LETTERS_AT_ONCE

    async def run(self, selection: Selection, tell: Callable[[Tally], None] = lambda _: None) -> Tally:
        """Attempt each of the selected letters once, in the order of their keys, several in each transaction.

        What is committed stays if the run ends early, and the next run attempts the rest. `tell` is called after each
        transaction. A letter whose statements are ended by the database even when it is attempted alone is left parked.

        Raises:
            Exception: the database cannot be used; what was committed stays.
        """
        tally, backoff, at_once = Tally(), Backoff(), self.at_once
        while True:
            try:
                outcomes = await self._attempt(selection, at_once)
            except Exception as error:
                verdict = Verdict.AGAIN if isinstance(error, ChangedError) else classify(error)
                if verdict not in {Verdict.AGAIN, Verdict.HALVE}:
                    raise
                if verdict is Verdict.AGAIN and backoff.attempts < _ATTEMPTS:
                    await backoff.wait()
                elif at_once > 1:
                    at_once //= 2
                else:
                    await self._pass_over(selection, tally, error)
                    selection = replace(selection, after=tally.last)
                    backoff.reset()
                    tell(tally)
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
            rejections, erased = await self.writer.merge_carefully(connection, events)
            refused = {id(rejection.record): rejection for rejection in rejections}
            outcomes = [Outcome(letter, refused.get(id(letter.record), verdict)) for letter, verdict in outcomes]
            await close(connection, self.group, outcomes, erased)
            await connection.commit()
        return outcomes

    async def _pass_over(self, selection: Selection, tally: Tally, error: Exception) -> None:
        """Leave the first of the selected letters parked, as it is."""
        async with self.engine.connect() as connection:
            letters = await next_letters(connection, self.group, selection, 1)
        for letter in letters:
            tally.still[letter.row["reason"]] += 1
            tally.last = letter.key
            _log.warning("redrive.passed_over", letter=str(letter.key), letters=1, error=describe(error))
