"""Records from Kafka, read from positions that PostgreSQL keeps. The only member of the group in this process.

What aiokafka does not do, and this file must: begin at stored positions after every rebalance, remember which
partitions are halted (a rebalance forgets pauses), and never trust a consumer whose `getmany` failed (it may have
moved past records that it dropped).
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from reelsync.consumer.kafka.clients import new_member, stop_within
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.check import Halt, LogState, check_position
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Partition, Record, Span
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.telemetry.metrics import Metrics

from .broker_silence import Silence
from .offset_commits import OffsetCommits

_POLL_MS = 200
_RECHECK_SECONDS = 15.0
_STOP_SECONDS = 10.0
_LEAST_SILENCE_SECONDS = 5.0

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
        self._assigned = False
        self._unsettled: set[Partition] = set()
        self._next_recheck = 0.0
        self._commits = OffsetCommits(metrics)
        self._silence = Silence(max(_LEAST_SILENCE_SECONDS, settings.session_timeout_ms / 1000))

    @property
    def positions(self) -> Mapping[Partition, int]:
        """Where each partition that is being read goes on."""
        return self._positions

    @property
    def settled(self) -> bool:
        """Whether partitions are assigned, perhaps none, and each has its position or is halted."""
        return self._assigned and self._unsettled <= self.halted.keys()

    def lags(self) -> dict[Partition, int]:
        """Records between position and the end of what may be read, as of each partition's last fetch."""
        lags = {}
        for partition, position in self._positions.items():
            end = self._consumer.last_stable_offset(TopicPartition(*partition)) if self._consumer else None
            if end is not None and end >= 0:
                lags[partition] = max(0, end - position)
        return lags

    async def poll(self, max_records: int, partitions: Collection[Partition]) -> Poll:
        """The next records of these partitions, at most `max_records`.

        None after 200 ms without any, or when something had to be set up: then there may be other partitions to read.

        Raises:
            KafkaError: the brokers did not do as asked; the next poll begins anew from the stored positions.
            UnavailableError: they do not answer; likewise.
            MisconfiguredError: they refuse us, or we them; likewise.
            Exception: the position store failed; the next poll tries again.
        """
        consumer = self._consumer or await self._join()
        self._recheck_halted()
        if self._unsettled:
            await self._settle(consumer)
            return Poll(self.epoch, [], {}, {})
        self.fetch_only(partitions)
        started = time.monotonic()
        try:
            read = [TopicPartition(*partition) for partition in partitions]
            fetched = await consumer.getmany(*read, timeout_ms=_POLL_MS, max_records=max_records)
            await self._listen(consumer, fetched, time.monotonic() - started)
            return await self._taken(consumer, fetched, partitions)
        except BaseException:
            await self.leave()
            raise

    def fetch_only(self, partitions: Collection[Partition]) -> None:
        """Let records be fetched of these partitions alone, of those that are read. `poll` begins with it.

        What was fetched of the others already stays in memory until they are polled again.
        """
        if self._consumer is None:
            return
        for partition in self._positions:
            let = self._consumer.resume if partition in partitions else self._consumer.pause
            let(TopicPartition(*partition))

    def forget(self) -> None:
        """Read the stored positions again before the next record."""
        self.epoch += 1
        self._unsettled = {Partition(*tp) for tp in self._consumer.assignment()} if self._consumer else set()
        self._park(self._unsettled)

    def commit_later(self, positions: Mapping[Partition, int]) -> None:
        """Tell Kafka, for the tools that look there. Advisory: it may fail, lag, or vanish."""
        if self._consumer is not None:
            self._commits.add(self._consumer, positions)

    async def leave(self) -> None:
        """Leave the group and drop the consumer, within a time limit, whatever state it is in."""
        self.epoch += 1
        await self._commits.finish()
        consumer, self._consumer = self._consumer, None
        self._assigned = False
        self._positions.clear()
        self._unsettled.clear()
        if consumer is not None:
            await stop_within(consumer, _STOP_SECONDS)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Hold the partitions still until their positions are known. Not a coroutine: nothing may come in between."""
        self._metrics.rebalanced()
        _log.info("partitions.assigned", count=len(assigned))
        # A poll that was under way may have settled a partition since the revocation: an assignment is whole.
        self.epoch += 1
        self._positions.clear()
        self._assigned = True
        self._unsettled = {Partition(*tp) for tp in assigned}
        self.halted = {partition: halt for partition, halt in self.halted.items() if partition in self._unsettled}
        self._park(self._unsettled)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let the batch in hand finish; what it does after that is fenced."""
        if revoked and self.drain:
            await self.drain()
        self.epoch += 1
        self._assigned = False
        self._positions.clear()
        self._unsettled.clear()
        await self._commits.finish()

    async def _join(self) -> AIOKafkaConsumer:
        self._cluster_id, _ = await self._kafka_log.cluster()
        consumer = new_member(self._settings)
        self._consumer = consumer
        consumer.subscribe(list(self._settings.topics), listener=self)
        try:
            await consumer.start()
        except BaseException:
            await self.leave()
            raise
        return consumer

    async def _listen(self, member: AIOKafkaConsumer, fetched: Mapping[TopicPartition, object], waited: float) -> None:
        """Give up a membership whose brokers have fallen silent: a new one finds them again, or says why not."""
        if fetched:
            self._silence.broken()
            return
        answers = {partition: member.last_poll_timestamp(TopicPartition(*partition)) for partition in self._positions}
        if self._silence.waited(waited, answers):
            _log.warning("brokers.silent", fix="are they up, and is the network? A new membership is tried")
            await self._kafka_log.cluster()
            raise KafkaTimeoutError

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

    async def _taken(
        self,
        consumer: AIOKafkaConsumer,
        fetched: Mapping[TopicPartition, list[Record]],
        polled: Collection[Partition],
    ) -> Poll:
        """What was fetched, with the span of each partition that moved. Does not wait: every position is known."""
        records: list[Record] = []
        spans: dict[Partition, Span] = {}
        last: dict[Partition, Record] = {}
        for tp, taken in fetched.items():
            if (partition := Partition(*tp)) in self._positions:
                records += taken
                last[partition] = taken[-1]
        for partition in self._positions.keys() & set(polled):
            start = self._positions[partition]
            if (position := await consumer.position(TopicPartition(*partition))) != start:
                spans[partition] = Span(start, position)
        self._positions.update({partition: span.next for partition, span in spans.items()})
        return Poll(self.epoch, records, spans, last)


def _inside(offset: int, bounds: tuple[int, int]) -> bool:
    begin, end = bounds
    return begin <= offset < end
