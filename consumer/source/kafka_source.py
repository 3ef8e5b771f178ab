"""Records from Kafka, read from positions in PostgreSQL, by the only member of the group in this process.

This file does what aiokafka does not: it begins at the stored positions after every rebalance, remembers what is halted
(a rebalance forgets pauses), and gives up a consumer whose `getmany` failed, which may have dropped records.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from reelsync.consumer.kafka.clients import Member, new_member, stop_within
from reelsync.consumer.kafka.group_refusals import translated
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.observer import Observer
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Anchor, Partition, Poll
from reelsync.consumer.settings import KafkaSettings

from .anchor_check import AnchorCheck
from .broker_watch import BrokerWatch
from .fetched import lags_of, taken_of
from .halts import Halts
from .look_ups import LookUps
from .offset_commits import OffsetCommits
from .positioning import Positioning, PositionStore, Settled

_POLL_MS = 200

_log = structlog.get_logger("reelsync.source")


class KafkaSource(ConsumerRebalanceListener):
    """Polls the topics of the settings as a member of the group.

    `epoch` numbers the assignments. It rises whenever everything that was read before must be forgotten.
    """

    def __init__(self, settings: KafkaSettings, log: KafkaLog, store: PositionStore, observer: Observer) -> None:
        self.epoch = 0
        self.halts = Halts()
        self.drain: Callable[[], Awaitable[None]] | None = None
        """Awaited when partitions are revoked, so that the present batch can be finished."""
        self._settings = settings
        self._observer = observer
        self._consumer: Member | None = None
        self._cluster_id: str | None = None
        self._positions: dict[Partition, int] = {}
        self._topic_ids: dict[Partition, str | None] = {}
        """The topic id of each stored position."""
        self.last_assignment: set[Partition] = set()
        """Of these the partitions of topics that are not there are reported: nobody is assigned them."""
        self._assigned = False
        self._unsettled: set[Partition] = set()
        self._positioning = Positioning(settings, log, store)
        self._look_ups = LookUps[Settled]()
        self._anchor_check = AnchorCheck(log, settings.anchor_timeout_ms / 1000)
        self._commits = OffsetCommits(observer)
        self._watch = BrokerWatch(log, settings.session_timeout_ms / 1000)

    @property
    def positions(self) -> Mapping[Partition, int]:
        """Where each partition that is being read goes on."""
        return self._positions

    @property
    def halted(self) -> Mapping[Partition, Halt]:
        """Partitions that wait for an operator or for a broker, and why."""
        return self.halts.halted | {p: halt for p, halt in self._watch.leaderless.items() if p in self._positions}

    @property
    def settling(self) -> frozenset[Partition]:
        """Partitions whose positions are being looked up for the first time."""
        return frozenset(self._unsettled - self.halts.not_read)

    @property
    def settled(self) -> bool:
        """Whether partitions are assigned, perhaps none, and each has its position or is halted."""
        return self._assigned and not self.settling

    def lags(self) -> dict[Partition, int]:
        """Records between position and the end of what may be read, as of each partition's last fetch."""
        return lags_of(self._consumer, self._positions) if self._consumer else {}

    async def poll(self, max_records: int, partitions: Collection[Partition]) -> Poll:
        """The next records of these partitions, at most `max_records`; see `RecordSource.poll`.

        There are none after 200 ms without records, or while no position is known.
        """
        with translated(self._settings):
            return await self._poll(max_records, partitions)

    async def _poll(self, max_records: int, partitions: Collection[Partition]) -> Poll:
        if self._consumer and self._consumer.divided and await self._positioning.store.home() != self._consumer.home:
            await self.leave()
        consumer = self._consumer or await self._join()
        if self._watch.topics_changed(consumer):
            self.forget()
        if self._assigned:
            # Otherwise the group is being formed, and the partitions that the member still names may not be its own.
            await self._settle(consumer)
        if not self._positions.keys() & set(partitions) and (self._positions or (self._assigned and self.settling)):
            # They were chosen before the positions were known. An empty list would ask for all partitions.
            return Poll(self.epoch, [], {}, {})
        self.fetch_only(partitions)
        started = time.monotonic()
        try:
            read = [TopicPartition(*partition) for partition in partitions]
            fetched = await consumer.getmany(*read, timeout_ms=_POLL_MS, max_records=max_records)
            self._watch.look_at_leaders(consumer, self._positions)
            await self._watch.listen(consumer, self._positions, time.monotonic() - started, heard=bool(fetched))
            records, spans, last = await taken_of(consumer, fetched, partitions, self._positions, self._topic_ids)
        except BaseException:
            await self.leave()
            raise
        self._positions.update({partition: span.next for partition, span in spans.items()})
        for partition in self.halts.halt_unreadable(consumer.unreadable, self._positions, self._topic_ids):
            del self._positions[partition]
        return Poll(self.epoch, records, spans, last)

    def fetch_only(self, partitions: Collection[Partition]) -> None:
        """Fetch records of these partitions alone. What was fetched of others stays in memory until they are polled."""
        if self._consumer is None:
            return
        for partition in self._positions:
            let = self._consumer.resume if partition in partitions else self._consumer.pause
            let(TopicPartition(*partition))

    def forget(self) -> None:
        """Read the stored positions again before the next record."""
        self.epoch += 1
        self._look_ups.drop()
        assigned = {Partition(*tp) for tp in self._consumer.assignment()} if self._consumer else set()
        self._unsettled |= assigned
        self._park(assigned)

    async def confirm(self, epoch: int, partitions: Collection[Partition], anchors: Mapping[Partition, Anchor]) -> None:
        """Check that a batch, whose last records are the `anchors`, came from the logs of the stored positions.

        Raises:
            FencedError: it did not, or partitions were assigned again while no broker answered.
        """
        await self._anchor_check.confirm(lambda: self._read_by_name(epoch), partitions, anchors)

    def _read_by_name(self, epoch: int) -> Collection[Partition] | None:
        """What is fetched by name, because brokers or positions know no topic ids; None if `epoch` is over."""
        return self._consumer.read_by_name if self.epoch == epoch and self._consumer else None

    def commit_later(self, positions: Mapping[Partition, int]) -> None:
        """Commit to Kafka in the background, for other tools. Such a commit may fail or be late."""
        if self._consumer is not None:
            self._commits.add(self._consumer, positions)

    async def leave(self) -> None:
        """Leave the group and drop the consumer, within a time limit and in any state."""
        self.epoch += 1
        await self._look_ups.end()
        await self._commits.finish()
        consumer, self._consumer = self._consumer, None
        self._assigned = False
        self._positions.clear()
        self._unsettled.clear()
        if consumer is not None:
            await stop_within(consumer, seconds=10)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Pause the partitions until their positions are known. Not a coroutine, so that nothing happens in between."""
        self._observer.rebalanced()
        _log.info("partitions.assigned", count=len(assigned))
        # A poll that was running may have positioned a partition since the revocation: an assignment is complete.
        self.epoch += 1
        self._look_ups.drop()
        self._positions.clear()
        self._assigned = True
        now = {Partition(*tp) for tp in assigned}
        self._unsettled = now | self.last_assignment | self.halts.halted.keys()
        self.last_assignment = now
        self.halts.gone &= now
        self._park(now)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Wait for the present batch to finish. What it writes after that is fenced."""
        if revoked and self.drain:
            await self.drain()
        self.epoch += 1
        self._look_ups.drop()
        self._assigned = False
        self._positions.clear()
        self._unsettled.clear()
        await self._commits.finish()

    async def _join(self) -> Member:
        self._cluster_id, _ = await self._positioning.log.cluster()
        consumer = self._consumer = await new_member(self._settings, await self._positioning.store.home())
        consumer.read_nothing()
        consumer.subscribe(list(self._settings.topics), listener=self)
        try:
            await consumer.start()
        except BaseException:
            await self.leave()
            raise
        return consumer

    def _park(self, partitions: set[Partition]) -> None:
        """Pause the partitions, and set some position: without one aiokafka would ask for Kafka's, or fail."""
        self._positions = {p: offset for p, offset in self._positions.items() if p not in partitions}
        if self._consumer is not None:
            parked = [TopicPartition(*partition) for partition in partitions]
            self._consumer.read_nothing()
            self._consumer.pause(*parked)
            for tp in parked:
                self._consumer.seek(tp, 0)

    async def _settle(self, consumer: Member) -> None:
        """Continue from the stored positions that fit the log; halt the other partitions.

        They are looked up beside polling. Only while nothing is read, polling waits for that.
        """
        if self._look_ups.may_start(soon=not self._positions):
            self._unsettled |= self.halts.due()
            if self._unsettled:
                unsettled = frozenset(self._unsettled)
                self._look_ups.start(self._positioning.look_up(consumer, self._cluster_id, unsettled))
        settled = await self._look_ups.found(wait=not self._positions)
        if settled and self.halts.resume_earlier(settled.found.positions):
            self.forget()
        elif settled:
            self._take(consumer, settled)

    def _take(self, consumer: Member, settled: Settled) -> None:
        unsettled, assigned, topics, found = settled
        self.halts.release(unsettled - assigned, topics)
        for partition, halt in found.halts.items():
            self.halts.halt(partition, halt)
        for partition, stored in found.positions.items():
            if not self.halts.is_before_unreadable(partition, stored):
                consumer.read_from({partition: topics[partition.topic].topic_id})
                self._go_on(consumer, partition, stored)
        self.halts.note_gone(assigned, found.gone)
        self._unsettled = set(assigned - found.halts.keys() - found.positions.keys() - found.gone)

    def _go_on(self, consumer: Member, partition: Partition, stored: Stored) -> None:
        self.halts.resume(partition, stored.next_offset)
        self._positions[partition] = stored.next_offset
        self._topic_ids[partition] = stored.topic_id
        self._anchor_check.begin(partition, stored.anchor)
        consumer.seek(TopicPartition(*partition), stored.next_offset)
        consumer.resume(TopicPartition(*partition))
