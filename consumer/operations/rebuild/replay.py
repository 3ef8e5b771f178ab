"""Filling the shadow from the log, by the same decoding, fold and writer as any batch."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.dead_letters.name_conflicts import Redriven
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.scan import Scanned
from reelsync.consumer.offsets.check import deleted, unknown
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.operations.obstacles import Obstacle, met_in, obstacles_of
from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.records import Partition, Span
from reelsync.consumer.settings import BatchSettings
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.source.batching import BatchSize
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import Decode
from reelsync.consumer.transform.fold import Fold, fold_type

_SLICE = 128
"""Records between two turns of the event loop."""
_PASSES = 3
"""Passes of the event loop in such a turn: a statement that is being written needs a few."""
_REDRIVES = 50
_REDRIVE_SECONDS = 0.1
_PARKED = text("SELECT count(*) FROM dead_letters WHERE reason = 'conflict' AND state = 'parked'")


@dataclass
class Filling:
    """Fills the shadow, which has positions of its own, up to the positions of the group."""

    log: KafkaLog | ArchivedLog
    engine: AsyncEngine
    decode: Decode
    group: str
    cluster_id: str | None
    redrive: Callable[[BatchWriter], Awaitable[Redriven]]
    """Applies all parked name conflicts of the shadow together."""
    limits: BatchSettings
    progress: Callable[[int], object] = lambda _records: None
    dead_letters: int = 0
    obstacles: list[Obstacle] = field(default_factory=list)
    """Partitions that cannot be read up to the goals."""
    _fold_type: type[Fold] = field(init=False)
    _writer: BatchWriter = field(init=False)
    _ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._fold_type = fold_type(video_states=self.limits.video_states)
        self._writer = BatchWriter(self.engine, self.group, self._fold_type)
        self._ledger = Ledger(self.engine, self.group)

    async def remaining(self, goals: Mapping[Partition, int]) -> dict[Partition, Span]:
        """The offsets of each partition that the shadow needs to reach `goals`, or the end of the log."""
        found = await self.log.survey(goals)
        ends = {place: min(goals[place], log.readable) for place, log in found.bounds.items()}
        troubles = {
            place: unknown(place, why) for place, why in found.troubles.items() if goals[place] > ends.get(place, -1)
        }
        gone = {place: deleted(place) for place in goals if place not in ends and place not in troubles}
        self.obstacles = obstacles_of(troubles | gone)
        stored = await self._ledger.positions(
            self.cluster_id, {place: log.begin for place, log in found.bounds.items()}
        )
        return {
            place: Span(position.next_offset, max(position.next_offset, ends[place]))
            for place, position in stored.items()
        }

    async def fill(self, stretches: Mapping[Partition, Span]) -> None:
        """Write these stretches into the shadow, batch by batch. One batch fills while the one before is written.

        Raises:
            KafkaFailedError: the brokers did not do as asked.
            Exception: the database failed; what was committed stays, and the next run resumes there.
        """
        batch, size = self._new_batch(), BatchSize(self.limits)
        writing: asyncio.Task[None] | None = None
        try:
            async for scanned in self.log.scan(stretches):
                await self._take(batch, scanned)
                self.obstacles += met_in(scanned.gaps)
                if size.is_full(batch):
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._write(batch))
                    batch = self._new_batch()
            if writing is not None:
                await writing
            if batch.spans:
                await self._write(batch)
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    def _new_batch(self) -> Batch:
        return Batch(0, self.decode, self._fold_type)

    async def _take(self, batch: Batch, scanned: Scanned) -> None:
        """Decode and fold in slices, so that the batch before this one can be written meanwhile."""
        for first in range(0, len(scanned.records), _SLICE):
            records = scanned.records[first : first + _SLICE]
            batch.add(records, [self.decode(record) for record in records])
            for _ in range(_PASSES):
                await asyncio.sleep(0)
        last = {Partition(record.topic, record.partition): record for record in scanned.records}
        batch.extend(scanned.spans, last)

    async def settle_names(self) -> None:
        """Redrive the name conflicts of the replay until no more of them can be applied.

        A consumer of the group that redrives its own conflicts may hold the lock for a moment. If it does not release
        the lock, the conflicts stay parked.
        """
        for _ in range(_REDRIVES):
            redriven = await self.redrive(self._writer)
            if redriven.applied:
                continue
            async with self.engine.connect() as connection:
                parked = await connection.scalar(_PARKED, execution_options={"query_name": "rebuild.letters"})
            if parked == redriven.parked:
                return
            await asyncio.sleep(_REDRIVE_SECONDS)

    async def _write(self, batch: Batch) -> None:
        try:
            written = await self._writer.write(batch)
        except DBAPIError as error:
            if classify(error) is not Verdict.DATA:
                raise
            written = await self._writer.write(batch, carefully=True)
        self.dead_letters += len(written.rejections)
        self.progress(sum(span.next - span.start for span in batch.spans.values()))
