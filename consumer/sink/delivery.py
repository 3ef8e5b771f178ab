"""Writing a batch, once in effect: it is tried until it is known to be committed, or to belong to another owner.

This is the error table of the design. After any failure the outcome is unknown, also after COMMIT was sent, so the
stored positions decide before anything else is done.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Protocol

import structlog

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import FencedError, HaltedError
from reelsync.consumer.observer import Failure, Observer, Written
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe, explanation, is_about_rows
from reelsync.consumer.records import Partition
from reelsync.consumer.transform.batch import Batch

from .breaker import DeadLetterLimit
from .refusals import free

_REFUSALS = 5
"""How often in a row a batch may be refused for the same reason, which waiting does not change: a retry may find other
rows."""

_log = structlog.get_logger("reelsync.deliver")


class Writer(Protocol):
    """Writes a batch in one transaction, with its positions."""

    attempted: Written
    """What the latest transaction wrote, if it was committed."""

    async def write(self, batch: Batch, *, carefully: bool = False, too_slow: bool = False) -> Written:
        """Commit the batch; see `BatchWriter.write`."""

    def forget(self) -> None:
        """Forget which rows exist."""


class StoredPositions(Protocol):
    """The stored positions."""

    async def next_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The next offset of each partition."""


class Outcome(Enum):
    """What became of a batch whose transaction failed."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not committed"
    FENCED = "fenced"


class Deliverer:
    """Writes batches until they are committed or fenced. `is_current` says whether an epoch is the present one."""

    def __init__(
        self,
        *,
        writer: Writer,
        ledger: StoredPositions,
        limit: DeadLetterLimit,
        observer: Observer,
        is_current: Callable[[int], bool],
    ) -> None:
        self._writer = writer
        self._ledger = ledger
        self._limit = limit
        self._observer = observer
        self._is_current = is_current
        self.doubtful = False
        """Whether the database was away since positions were last compared. It may have lost transactions."""

    async def deliver(self, batch: Batch) -> list[Written]:
        """Commit the batch, in one transaction, or in several if the database finds it too large.

        Raises:
            FencedError: its partitions have another owner.
            HaltedError: it must not be written before an operator has looked at it.
        """
        self._limit.admit(batch.count, len(batch.rejections))
        try:
            written = await self._attempt(batch)
        except FencedError:
            self._limit.withdraw(batch.count)
            raise
        finally:
            self._observer.recovered("write")
        self._limit.add_refused(sum(r.reason == "refused" for part in written for r in part.rejections))
        return written

    async def moved(self, positions: Mapping[Partition, int]) -> list[Partition]:
        """The partitions whose stored position has changed, because the database lost transactions."""
        stored = await self._ledger.next_offsets(positions) if positions else {}
        moved = [partition for partition, position in positions.items() if stored.get(partition) != position]
        self.doubtful = False
        if moved:
            self._writer.forget()
        return moved

    async def _attempt(self, batch: Batch) -> list[Written]:
        carefully = too_slow = False
        refusals = Refusals()
        backoff = Backoff()
        while True:
            if not self._is_current(batch.epoch):
                message = "its partitions were assigned again meanwhile"
                raise FencedError(message)
            try:
                return [await self._writer.write(batch, carefully=carefully, too_slow=too_slow)]
            except FencedError:
                raise
            except Exception as error:  # noqa: BLE001 - classified below; unknown ones are raised
                verdict = self._judge(error)
                refusals.add(error)
                free(error)
            match await self._outcome(batch):
                case Outcome.COMMITTED:
                    return [self._writer.attempted]
                case Outcome.FENCED:
                    message = "the stored positions moved on without it"
                    raise FencedError(message)
                case Outcome.NOT_COMMITTED:
                    first_refusal = verdict is Verdict.DATA and not carefully
                    carefully = carefully or first_refusal
            if verdict is Verdict.HALVE and batch.count > 1:
                first, second = batch.halves()
                return [*await self._attempt(first), *await self._attempt(second)]
            # Alone, a record may be too slow or too big for ever: then it is parked, if the database takes all else.
            too_slow = too_slow or (verdict is Verdict.HALVE and refusals.count >= _REFUSALS)
            if not first_refusal:
                await backoff.wait(self._trying_again)

    def _judge(self, error: Exception) -> Verdict:
        verdict = classify(error)
        if verdict is Verdict.BUG:
            message = (
                f"the database refused a statement of reelsync ({explanation(error)}). Nothing was written; nothing is "
                "lost"
            )
            raise HaltedError(message) from error
        self.doubtful = self.doubtful or verdict is Verdict.OUTAGE
        failure = Failure(describe(error), verdict.value, server="postgresql", outage=verdict is Verdict.OUTAGE)
        self._observer.attempt_failed("write", failure)
        _log.warning("batch.failed", error=describe(error), verdict=verdict.value)
        return verdict

    def _trying_again(self, seconds: float) -> None:
        self._observer.retry_scheduled("write", seconds)

    async def _outcome(self, batch: Batch) -> Outcome:
        """The outcome according to the stored positions. Waits until the database answers."""
        backoff = Backoff()
        while True:
            try:
                stored = await self._ledger.next_offsets(batch.spans)
            except Exception as error:  # noqa: BLE001 - classified below; unknown ones are raised
                self._judge(error)
                await backoff.wait(self._trying_again)
                continue
            if stored == batch.positions:
                return Outcome.COMMITTED
            if stored == {partition: span.start for partition, span in batch.spans.items()}:
                return Outcome.NOT_COMMITTED
            return Outcome.FENCED


class Refusals:
    """The same refusal of one batch again and again, although refused events were to be parked."""

    def __init__(self) -> None:
        self._latest = ""
        self.count = 0
        """How often in a row."""

    def add(self, error: Exception) -> None:
        """Take a failed attempt into account.

        Raises:
            HaltedError: the next attempts would be refused, too.
        """
        why = describe(error)
        self.count = self.count + 1 if why == self._latest else 1
        self._latest = why
        if self.count >= _REFUSALS and is_about_rows(error):
            message = (
                f"the database has refused the same batch {self.count} times ({explanation(error)}): is its encoding "
                "UTF8, and is there a trigger, a constraint or an index of yours on a table of reelsync? Nothing was "
                "written; nothing is lost"
            )
            raise HaltedError(message) from error
