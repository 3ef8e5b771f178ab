"""Records from Kafka, read from positions that PostgreSQL keeps. The only member of the group in this process.

What aiokafka does not do, and this file must: begin at stored positions after every rebalance, remember which
partitions are halted (a rebalance forgets pauses), and never trust a consumer whose `getmany` failed (it may have
moved past records that it dropped).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from .kafka_clients import connection_options
from .kafka_log import KafkaLog
from .metrics import Metrics
from .offsets import Stored
from .positions import Halt, LogState, check_position
from .records import Partition, Record, Span
from .settings import KafkaSettings

_POLL_MS = 200
_COMMIT_SECONDS = 5.0
_STOP_SECONDS = 10.0
_RECHECK_SECONDS = 15.0
_SILENT_POLLS = 100
"""Polls in a row, of 200 ms each, without an answer of any broker, after which one is asked directly."""

_log = structlog.get_logger("reelsync.source")


class PositionStore(Protocol):
    """Where positions are kept."""

    async def positions(self, cluster_id: str | None, starts: Mapping[Partition, int]) -> dict[Partition, Stored]:
        """The stored positions of these partitions; one never seen is given its start first."""


class Poll(NamedTuple):
    """What one poll brought: records in log order for each partition, and how far each position moved.

    A position can move without a record: transaction markers, aborted transactions and compacted batches take offsets.
    """

    epoch: int
    records: list[Record]
    spans: dict[Partition, Span]
    last: dict[Partition, Record]


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Polls the topics of the settings as a member of the group.

    `epoch` numbers what has been assigned and positioned: it rises whenever what was read before must be forgotten.
    """

    def __init__(self, settings: KafkaSettings, log: KafkaLog, store: PositionStore, metrics: Metrics) -> None:
        self.epoch = 0
        self.halted: dict[Partition, Halt] = {}
        self.drain: Callable[[], Awaitable[None]] | None = None
        """Awaited when partitions are revoked, so that the batch in hand can be finished."""
        self._settings = settings
        self._kafka_log = log
        self._store = store
        self._metrics = metrics
        self._consumer: AIOKafkaConsumer | None = None
        self._cluster_id: str | None = None
        self._positions: dict[Partition, int] = {}
        self._unsettled: set[Partition] = set()
        self._next_recheck = 0.0
        self._heard: dict[Partition, int | None] = {}
        self._silent_polls = 0
        self._commits: dict[Partition, int] = {}
        self._committing: asyncio.Task[None] | None = None

    @property
    def positions(self) -> Mapping[Partition, int]:
        """Where each partition that is being read goes on."""
        return self._positions

    def behind(self) -> bool:
        """Whether the last fetches told of records that were not polled yet."""
        return any(lag > 0 for lag in self.lags().values())

    def lags(self) -> dict[Partition, int]:
        """Records between position and the end of what may be read, as of each partition's last fetch."""
        lags = {}
        for partition, position in self._positions.items():
            end = self._consumer.last_stable_offset(TopicPartition(*partition)) if self._consumer else None
            if end is not None and end >= 0:
                lags[partition] = max(0, end - position)
        return lags

    async def poll(self, max_records: int) -> Poll:
        """The next records, at most `max_records`; none after 200 ms without any, or when something had to be set up.

        Raises:
            KafkaError: the brokers did not do as asked; the next poll begins anew from the stored positions.
            UnavailableError: they have not answered for a while; likewise.
            MisconfiguredError: they refuse us, or we them; likewise.
            Exception: the position store failed; the next poll tries again.
        """
        consumer = self._consumer or await self._join()
        await self._break_silence()
        self._recheck_halted()
        if self._unsettled:
            await self._settle(consumer)
        try:
            fetched = await consumer.getmany(timeout_ms=_POLL_MS, max_records=max_records)
        except BaseException:
            await self.leave()
            raise
        self._listen(consumer, heard=bool(fetched))
        return await self._taken(consumer, fetched)

    def forget(self) -> None:
        """Read the stored positions again before the next record."""
        self.epoch += 1
        self._unsettled = {Partition(*tp) for tp in self._consumer.assignment()} if self._consumer else set()
        self._park(self._unsettled)

    def commit_later(self, positions: Mapping[Partition, int]) -> None:
        """Tell Kafka, for the tools that look there. Advisory: it may fail, lag, or vanish."""
        self._commits.update(positions)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit())

    async def leave(self) -> None:
        """Leave the group and drop the consumer, within a time limit, whatever state it is in."""
        self.epoch += 1
        if self._committing is not None:
            await asyncio.wait({self._committing}, timeout=_COMMIT_SECONDS)
        consumer, self._consumer = self._consumer, None
        self._positions.clear()
        self._unsettled.clear()
        if consumer is None:
            return
        # A task of its own: with the broker gone, stop() may hang, or end in a CancelledError that is not ours.
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
        if not stopping.done() or stopping.cancelled() or stopping.exception():
            stopping.cancel()
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(consumer._client.close(), 1)  # noqa: SLF001 - stop() skips it when it fails

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Hold the partitions still until their positions are known. Not a coroutine: nothing may come in between."""
        self._metrics.rebalanced()
        self._unsettled = {Partition(*tp) for tp in assigned}
        self.halted = {partition: halt for partition, halt in self.halted.items() if partition in self._unsettled}
        self._park(self._unsettled)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the batch in hand finish; what it does after that is fenced."""
        if revoked and self.drain:
            await self.drain()
        self.epoch += 1
        self._positions.clear()
        self._unsettled.clear()

    async def _join(self) -> AIOKafkaConsumer:
        self._cluster_id, _ = await self._kafka_log.cluster()
        settings = self._settings
        consumer = AIOKafkaConsumer(
            **connection_options(settings),
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // 10,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            metadata_max_age_ms=30_000,
        )
        self._consumer = consumer
        consumer.subscribe(list(settings.topics), listener=self)
        try:
            await consumer.start()
        except BaseException:
            await self.leave()
            raise
        return consumer

    def _park(self, partitions: set[Partition]) -> None:
        """Pause, and set any position: a partition without one makes aiokafka ask for Kafka's, or fail."""
        self._positions = {p: offset for p, offset in self._positions.items() if p not in partitions}
        if self._consumer is not None:
            parked = [TopicPartition(*partition) for partition in partitions]
            self._consumer.pause(*parked)
            for tp in parked:
                self._consumer.seek(tp, 0)

    async def _settle(self, consumer: AIOKafkaConsumer) -> None:
        """Go on from the stored positions, wherever they still fit the log; halt the rest."""
        epoch, unsettled = self.epoch, frozenset(self._unsettled)
        ranges = await self._kafka_log.ranges(unsettled)
        earliest = self._settings.start_from == "earliest"
        starts = {partition: begin if earliest else end for partition, (begin, end) in ranges.items()}
        stored = await self._store.positions(self._cluster_id, starts)
        wanted = {p: s.anchor.offset for p, s in stored.items() if s.anchor and _inside(s.anchor.offset, ranges[p])}
        anchors = await self._kafka_log.anchors(wanted, self._settings.anchor_timeout_ms / 1000)
        if self.epoch != epoch or self._unsettled != unsettled:
            return
        for partition, position in stored.items():
            halt = check_position(position, LogState(*ranges[partition], anchors.get(partition)), self._cluster_id)
            if halt:
                self._halt(partition, halt)
            else:
                self._go_on(consumer, partition, position.next_offset)
        self._unsettled.clear()
        self._metrics.halted(len(self.halted))

    def _go_on(self, consumer: AIOKafkaConsumer, partition: Partition, offset: int) -> None:
        if self.halted.pop(partition, None):
            _log.info("partition.resumed", partition=str(partition), position=offset)
        self._positions[partition] = offset
        consumer.seek(TopicPartition(*partition), offset)
        consumer.resume(TopicPartition(*partition))

    def _halt(self, partition: Partition, halt: Halt) -> None:
        if self.halted.get(partition) != halt:
            fix = f"reelsync offsets reset {partition.topic} {partition.number} --to earliest|latest|OFFSET"
            _log.error("partition.halted", partition=str(partition), reason=halt.reason, why=halt.message, fix=fix)
        self.halted[partition] = halt
        self._next_recheck = time.monotonic() + _RECHECK_SECONDS

    def _recheck_halted(self) -> None:
        """Look again now and then: an operator may have reset the position, or the log come back."""
        if self.halted and time.monotonic() >= self._next_recheck:
            self._next_recheck = time.monotonic() + _RECHECK_SECONDS
            self._unsettled |= set(self.halted)

    def _listen(self, consumer: AIOKafkaConsumer, *, heard: bool) -> None:
        """Count the polls since brokers last answered a fetch. They do so every half second, records or not."""
        answers = {partition: consumer.last_poll_timestamp(TopicPartition(*partition)) for partition in self._positions}
        self._silent_polls = 0 if heard or answers != self._heard else self._silent_polls + 1
        self._heard = answers

    async def _break_silence(self) -> None:
        """Ask a broker whether it is there and takes us: aiokafka tries for ever, and tells nobody but its log.

        If it does not, begin anew: that reads the certificate files again.
        """
        if self._silent_polls < _SILENT_POLLS:
            return
        self._silent_polls = 0
        try:
            await self._kafka_log.cluster()
        except BaseException:
            await self.leave()
            raise

    async def _taken(self, consumer: AIOKafkaConsumer, fetched: Mapping[TopicPartition, list[Record]]) -> Poll:
        """What was fetched, with the span of each partition that moved. Does not wait: every position is known."""
        records: list[Record] = []
        spans: dict[Partition, Span] = {}
        last: dict[Partition, Record] = {}
        for tp, taken in fetched.items():
            if (partition := Partition(*tp)) in self._positions:
                records += taken
                last[partition] = taken[-1]
        for partition, start in self._positions.items():
            if (position := await consumer.position(TopicPartition(*partition))) != start:
                spans[partition] = Span(start, position)
        self._positions.update({partition: span.next for partition, span in spans.items()})
        return Poll(self.epoch, records, spans, last)

    async def _commit(self) -> None:
        while self._commits and self._consumer is not None:
            commits, self._commits = self._commits, {}
            offsets = {TopicPartition(*p): offset for p, offset in commits.items() if p in self._positions}
            if not offsets:
                continue
            try:
                async with asyncio.timeout(_COMMIT_SECONDS):
                    await self._consumer.commit(offsets)
            except (KafkaError, IllegalStateError, TimeoutError) as error:
                self._metrics.kafka_commit_failed()
                _log.debug("kafka_commit.failed", error=type(error).__name__)


def _inside(offset: int, bounds: tuple[int, int]) -> bool:
    begin, end = bounds
    return begin <= offset < end
