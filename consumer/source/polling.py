"""Polling by the rule of `batching` (which partitions, how many records, how often), and waiting while polls fail."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from time import perf_counter
from typing import Protocol

import structlog

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import (
    GroupRefusedError,
    HaltedError,
    KafkaFailedError,
    MisconfiguredError,
    UnavailableError,
)
from reelsync.consumer.observer import Failure, Observer
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe, explanation
from reelsync.consumer.records import Anchor, Partition, Poll
from reelsync.consumer.settings import BatchSettings
from reelsync.consumer.transform.batch import Batch

from .batching import BatchSize, Pace, Turns

_REFUSALS = 5
"""How often in a row the brokers may refuse to let us into the group: a member of another program may leave."""

_log = structlog.get_logger("reelsync.loop")


class RecordSource(Protocol):
    """Records of the partitions that this consumer owns, from their stored positions on."""

    drain: Callable[[], Awaitable[None]] | None
    """Awaited before partitions are given back."""

    @property
    def epoch(self) -> int:
        """Rises whenever what was read before must be forgotten."""

    @property
    def positions(self) -> Mapping[Partition, int]:
        """Where each partition that is being read goes on."""

    def lags(self) -> dict[Partition, int]:
        """Records of each partition that were not polled yet, as far as is known."""

    def fetch_only(self, partitions: Collection[Partition]) -> None:
        """Let records be fetched of these partitions alone, of those that are being read."""

    async def poll(self, max_records: int, partitions: Collection[Partition]) -> Poll:
        """The next records of these partitions, at most `max_records`.

        Raises:
            KafkaFailedError: the brokers did not do as asked; the next poll begins anew from the stored positions.
            UnavailableError: they do not answer; likewise.
            MisconfiguredError: they refuse us, or we them; likewise.
            Exception: the stored positions could not be read; the next poll tries again.
        """

    async def confirm(self, epoch: int, partitions: Collection[Partition], anchors: Mapping[Partition, Anchor]) -> None:
        """Check that a batch came from the logs that the stored positions belong to. `anchors` are its last records.

        Raises:
            FencedError: it did not, or its partitions were assigned again meanwhile.
        """

    def forget(self) -> None:
        """Read the stored positions again before the next record."""

    def commit_later(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions to Kafka soon."""

    async def leave(self) -> None:
        """Leave the group."""


class Polling:
    """Polls `source` for one batch after another."""

    def __init__(self, source: RecordSource, observer: Observer, limits: BatchSettings) -> None:
        self._source = source
        self._observer = observer
        self._turns = Turns()
        self._size = BatchSize(limits)
        self._pace = Pace()
        self._lags: Mapping[Partition, int] = {}
        """As of the latest poll."""
        self._backoff = Backoff()
        self._refusals = 0

    @property
    def _lag(self) -> int:
        return sum(self._lags.values())

    def is_full(self, batch: Batch) -> bool:
        """Whether the batch must take no more."""
        return self._size.is_full(batch)

    def seconds_left(self, batch: Batch) -> float:
        """How long the batch should wait for more; 0 if it should be written."""
        return self._size.seconds_left(batch, self._lag, perf_counter())

    async def pace(self) -> None:
        """Wait while records are to be gathered."""
        await asyncio.sleep(self._pace.seconds_left(self._lag, perf_counter()))

    async def poll(self, batch: Batch) -> Poll:
        """Poll the partitions that the rule chooses, for records that fit into the batch, and pass it the result."""
        room = self._size.room(batch)
        poll = await self._source.poll(room, self._chosen())
        now = perf_counter()
        self._lags = self._source.lags()
        self._turns.took(len(poll.records), room)
        self._pace.took(len(poll.records), now)
        if self._pace.seconds_left(self._lag, now):
            # Otherwise each record that comes meanwhile would be fetched in a request of its own.
            self._source.fetch_only(())
        self._backoff.reset()
        self._refusals = 0
        self._observer.recovered("read")
        return poll

    def begin(self, batch: Batch) -> None:
        """The batch has its first records. It should take as many as are known to be waiting."""
        self._size.begin(batch.count + self._lag, perf_counter())

    def took(self, batch: Batch, count: int, size: int) -> bool:
        """Note records and bytes that the batch took. Whether it is full now."""
        self._size.took(count, size)
        if not self._size.is_full(batch):
            return False
        self._turns.end()
        # Fetched while this batch is planned. And the lag must stay known, however long the database takes.
        self._source.fetch_only(self._chosen())
        return True

    async def wait_out(self, error: Exception) -> None:
        """Wait until Kafka, or the stored positions, may be back.

        Raises:
            HaltedError: waiting does not help.
        """
        of_kafka = isinstance(error, KafkaFailedError | UnavailableError | MisconfiguredError)
        if not of_kafka and classify(error) is Verdict.BUG:
            message = (
                f"reading from Kafka or its positions failed, and waiting does not help ({explanation(error)}). "
                "Nothing is lost: the positions stay where they are"
            )
            raise HaltedError(message) from error
        self._refusals = self._refusals + 1 if isinstance(error, GroupRefusedError) else 0
        if self._refusals >= _REFUSALS:
            message = f"{error}. It was refused {self._refusals} times in a row. Nothing is lost"
            raise HaltedError(message) from error
        outage = of_kafka or classify(error) is Verdict.OUTAGE
        failure = Failure(describe(error), "kafka", "kafka", outage)
        if not of_kafka:
            failure = failure._replace(reason="outage", server="postgresql")
        self._observer.attempt_failed("read", failure)
        delay = self._backoff.next_delay()
        self._observer.retry_scheduled("read", delay)
        _log.warning("poll.failed", error=describe(error), again_in_seconds=round(delay, 1))
        await asyncio.sleep(delay)

    def _chosen(self) -> Collection[Partition]:
        return self._turns.choose(self._source.positions, self._lags, perf_counter())
