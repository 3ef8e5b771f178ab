"""The loop: poll → decode → fold → plan → write → commit. The next batch is made while one is being written."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import structlog

from .errors import FencedError, HaltedError
from .observer import Observer, Written
from .postgres.sqlstate import describe
from .records import Partition, Poll
from .settings import BatchSettings
from .source.polling import Polling, RecordSource
from .transform.batch import Batch
from .transform.decode import Decode
from .transform.fold import fold_type

_SLICE = 128
"""Records decoded and folded in one go, about 1 ms: answers of the database and heartbeats must not wait for long."""
_PASSES = 3
"""Passes of the event loop from an answer to the next statement: one reads it, one wakes who waits, one sends."""

_log = structlog.get_logger("reelsync.loop")


class Delivery(Protocol):
    """Writes batches until it is known what became of them."""

    doubtful: bool
    """Whether the database may have lost transactions."""

    async def deliver(self, batch: Batch) -> list[Written]:
        """Commit the batch; see `Deliverer.deliver`."""

    async def moved(self, positions: Mapping[Partition, int]) -> list[Partition]:
        """The partitions whose stored position has changed."""


@dataclass
class BatchLoop:
    """The work of one consumer. `batching` has the rule for what is polled and how large batches are."""

    source: RecordSource
    deliverer: Delivery
    observer: Observer
    decode: Decode
    limits: BatchSettings
    drain_seconds: float = 20.0
    audit_seconds: float = 4.0

    def __post_init__(self) -> None:
        self._fold_type = fold_type(video_states=self.limits.video_states)
        self._batch = self._new_batch()
        self._being_written: frozenset[Partition] = frozenset()
        self._making = False
        self._polls = Polling(self.source, self.observer, self.limits)
        self._next_audit = perf_counter() + self.audit_seconds
        self._writing: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None
        self.source.drain = self._drain

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`, then finish the present batch and leave the group.

        Raises:
            HaltedError: the consumer must stop until an operator has looked at it.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._start_writing()
                self._start_polling()
                tasks = {task for task in (self._polling, self._writing, stopping) if task}
                await asyncio.wait(tasks, timeout=self._linger_left(), return_when=asyncio.FIRST_COMPLETED)
                self._polling = _reap(self._polling)
                self._writing = _reap(self._writing)
        finally:
            stopping.cancel()
            await self._drain()
            await self._cancel(self._polling, self._writing)
            await self.source.leave()

    def _new_batch(self) -> Batch:
        return Batch(self.source.epoch, self.decode, self._fold_type)

    def _start_writing(self) -> None:
        if self._batch.epoch != self.source.epoch:
            self._batch = self._new_batch()
        if self._linger_left() == 0:
            # From here on only the task refers to it, so that its memory is freed as soon as it is committed.
            self._being_written = frozenset(self._batch.spans)
            self._writing = asyncio.create_task(self._write(self._batch))
            self._batch = self._new_batch()

    def _is_ready(self) -> bool:
        """Whether the batch is complete and not empty, and no other batch is being written."""
        return bool(self._batch.spans) and self._writing is None and not self._making

    def _start_polling(self) -> None:
        if self._polling is None and not self._polls.is_full(self._batch):
            self._polling = asyncio.create_task(self._fill())

    def _linger_left(self) -> float | None:
        """Seconds until the batch is written without waiting for more; None while there is none to write."""
        if not self._is_ready():
            return None
        return self._polls.seconds_left(self._batch)

    async def _fill(self) -> None:
        """Poll, and take all of the poll into the batch, records and positions together, or nothing."""
        try:
            if self._is_audit_due():
                await self._audit()
            await self._polls.pace()
            started = perf_counter()
            poll = await self._polls.poll(self._batch)
        except Exception as error:  # noqa: BLE001 - distinguished there
            await self._polls.wait_out(error)
            return
        if not poll.spans:
            return
        if self._batch.epoch != poll.epoch:
            self._batch = self._new_batch()
        self._batch.spend("poll", perf_counter() - started)
        await self._take(self._batch, poll)

    def _is_audit_due(self) -> bool:
        return perf_counter() >= self._next_audit or (self.deliverer.doubtful and not self._writing)

    async def _audit(self) -> None:
        """Check that the database still has what it has confirmed.

        After a failover to a replica that lagged, a restore, or a crash with synchronous_commit off, the last
        transactions are undone. The fence would refuse a later record of the partition, but there may be none.
        """
        in_hand = self._batch.spans.keys() | (self._being_written if self._writing else frozenset())
        settled = {partition: at for partition, at in self.source.positions.items() if partition not in in_hand}
        moved = await self.deliverer.moved(settled)
        self._next_audit = perf_counter() + self.audit_seconds
        if moved:
            _log.warning("positions.moved", partitions=sorted(map(str, moved)), then="reading on from where they are")
            self.source.forget()

    async def _take(self, batch: Batch, poll: Poll) -> None:
        """Decode and fold what was polled, and plan a full batch. The batch is not written before that is done."""
        self._making = True
        size_before = batch.size
        for first in range(0, len(poll.records), _SLICE):
            records = poll.records[first : first + _SLICE]
            started = perf_counter()
            verdicts = [self.decode(record) for record in records]
            decoded = perf_counter()
            batch.add(records, verdicts)
            batch.spend("decode", decoded - started)
            batch.spend("fold", perf_counter() - decoded)
            await self._give_way()
        if not batch.spans:
            self._polls.begin(batch)
        batch.extend(poll.spans, poll.last)
        if self._polls.took(batch, len(poll.records), batch.size - size_before):
            await self._plan(batch)
        self._making = False

    async def _plan(self, batch: Batch) -> None:
        """Encode the rows that are not encoded yet.

        Raises:
            HaltedError: a row cannot be encoded.
        """
        try:
            while True:
                started = perf_counter()
                is_more = batch.plan_some()
                batch.spend("fold", perf_counter() - started)
                if not is_more:
                    return
                await self._give_way()
        except MemoryError:
            raise
        except Exception as error:
            message = (
                f"no row could be made of events that are valid ({describe(error)}), a defect of reelsync: please "
                "report it. Nothing was written; nothing is lost"
            )
            raise HaltedError(message) from error

    async def _give_way(self) -> None:
        """Let the event loop run other tasks before the next slice of work."""
        for _ in range(_PASSES if self._writing else 1):
            await asyncio.sleep(0)

    async def _write(self, batch: Batch) -> None:
        await self._plan(batch)
        with self.observer.writing(batch):
            await self._deliver(batch)

    async def _deliver(self, batch: Batch) -> None:
        try:
            await self.source.confirm(batch.epoch, batch.spans, batch.anchors)
            written = await self.deliverer.deliver(batch)
        except FencedError as error:
            self.observer.batch_fenced()
            _log.info("batch.fenced", why=str(error), records=batch.count)
            if batch.epoch == self.source.epoch:
                self.source.forget()
            return
        if batch.epoch == self.source.epoch:
            self.source.commit_later(batch.positions)
        self.observer.batch_committed(batch, written)

    async def _drain(self) -> None:
        """Wait for the batch that is being written, for a limited time."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=self.drain_seconds)

    async def _cancel(self, *tasks: asyncio.Task[None] | None) -> None:
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _reap(task: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
    """The task while it runs, None when it has ended. Raises the task's error."""
    if task is None or not task.done():
        return task
    task.result()
    return None
