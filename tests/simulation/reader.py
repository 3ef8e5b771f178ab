"""A reader of partitions in the place of aiokafka's consumer.

As with aiokafka, a poll that fails may have moved past records that nobody gets, a fetch that brings a part of a record
moves past it (aiokafka#1173), and a question about a partition that is not assigned is refused.
"""

import asyncio
from collections.abc import Collection, Mapping
from itertools import starmap

from aiokafka import TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)

from reelsync.consumer.kafka.reader import Topic
from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.records import Partition, StoredRecord

from .assigned import State
from .kafka import Chunk, Log, SimulatedKafka

_OFFSETS_SECONDS = 5.0
"""How long a question for offsets waits for a leader."""
Fetched = dict[TopicPartition, list[StoredRecord]]
Asked = dict[TopicPartition, tuple[int | None, str | None]]


class SimulatedReader:
    """Reads partitions that it was told to read."""

    waits_at_least = 0.0
    """A poll that finds nothing may take longer than it was asked to: each poll costs real time."""

    def __init__(self, kafka: SimulatedKafka) -> None:
        self.kafka = kafka
        self.world = kafka.world
        self._states: dict[TopicPartition, State] = {}
        self._topic_ids: dict[TopicPartition, str | None] | None = None
        self._refused: set[TopicPartition] = set()
        self._by_name: set[TopicPartition] = set()
        self._closed = False
        self.failures: dict[TopicPartition, KafkaError] = {}

    def assign(self, partitions: Collection[TopicPartition]) -> None:
        self._states = {tp: State(0) for tp in partitions}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._states)

    def read_from(self, topic_ids: Mapping[Partition, str | None]) -> None:
        self._topic_ids = (self._topic_ids or {}) | {TopicPartition(*p): one for p, one in topic_ids.items()}

    def read_nothing(self) -> None:
        self._topic_ids = {}
        self._refused.clear()
        self._by_name.clear()
        self.failures.clear()

    def without_leader(self, partitions: Collection[Partition]) -> set[Partition]:
        return self.kafka.without_leader(partitions)

    @property
    def refused(self) -> bool:
        return bool(self._refused)

    @property
    def read_by_name(self) -> set[Partition]:
        return {Partition(*tp) for tp in self._by_name}

    @property
    def unreadable(self) -> dict[Partition, Unreadable]:
        return {
            Partition(*tp): state.fetched.unreadable
            for tp, state in self._states.items()
            if state.fetched and state.fetched.unreadable
        }

    def seek(self, tp: TopicPartition, offset: int) -> None:
        state = self._assigned(tp)
        state.position, state.fetched = offset, None
        self.failures.pop(tp, None)

    def pause(self, *tps: TopicPartition) -> None:
        for tp in tps:
            self._assigned(tp).paused = True

    def resume(self, *tps: TopicPartition) -> None:
        for tp in tps:
            self._assigned(tp).paused = False

    async def position(self, tp: TopicPartition) -> int:
        position = self._assigned(tp).position
        assert position is not None, "the consumer asks for a position that it has not set"
        return position

    def highwater(self, tp: TopicPartition) -> int | None:
        assert tp in self._states, "Partition is not assigned"
        return self._states[tp].highwater

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        assert tp in self._states, "Partition is not assigned"
        return self._states[tp].stable

    def last_poll_timestamp(self, tp: TopicPartition) -> int | None:
        assert tp in self._states, "Partition is not assigned"
        return self._states[tp].answered_at

    async def topics(self, names: Collection[str]) -> dict[str, Topic]:
        await self._ask("topics")
        found = {name: self.kafka.topics[name] for name in sorted(names) if name in self.kafka.topics}
        return {name: Topic(len(logs), logs[0].topic_id, self.kafka.leaders(logs)) for name, logs in found.items()}

    async def beginning_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: log.begin for tp, log in (await self._led(tps)).items()}

    async def end_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: log.readable_end for tp, log in (await self._led(tps)).items()}

    async def start(self) -> None:
        await self._ask("start")

    async def stop(self) -> None:
        self._closed = True

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int = 0, max_records: int = 500
    ) -> dict[TopicPartition, list[StoredRecord]]:
        if not any(starmap(self._is_wanted, self._states.items())):
            # Otherwise the request for records is the place where others work.
            await self._ask("poll")
        began_at = self.world.clock.now
        while True:
            await self._until_assigned()
            if drained := self._take(tps, max_records):
                if self.world.happens("poll loses records"):
                    raise NotLeaderForPartitionError
                return drained
            if not await self._fetch():
                is_idle = not self._states or any(starmap(self._is_wanted, self._states.items()))
                left = began_at + max(timeout_ms / 1000, self.waits_at_least * is_idle) - self.world.clock.now
                if left <= 0:
                    return {}
                await self.kafka.wait_for_change(left)
                await self.world.thaw()
            if self._closed:
                raise ConsumerStoppedError

    async def _until_assigned(self) -> None:
        """A member waits here while the group is being formed."""

    async def _ask(self, what: str) -> None:
        if self._closed:
            raise ConsumerStoppedError
        await self.world.step(what)
        if self.kafka.is_down or self.world.happens("brokers fail"):
            raise KafkaTimeoutError

    async def _led(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, Log]:
        await self._ask("offsets")
        logs = {tp: self.kafka.find(tp, None) for tp in tps}
        now = self.world.clock.now
        if any(log is None or log.leaderless_until > now for log in logs.values()):
            await asyncio.sleep(_OFFSETS_SECONDS)
            raise KafkaTimeoutError
        return {tp: log for tp, log in logs.items() if log}

    def _take(self, tps: Collection[TopicPartition], at_most: int) -> Fetched:
        """Records that were fetched, in whatever order partitions have; their positions move."""
        taken: Fetched = {}
        for tp, state in self._states.items():
            if (tps and tp not in tps) or state.fetched is None or not at_most:
                continue
            records, after, unreadable = state.fetched
            mine, rest = records[:at_most], records[at_most:]
            state.position = rest[0].offset if rest else after
            state.fetched = Chunk(rest, after, unreadable) if rest or unreadable else None
            if mine:
                taken[tp] = mine
                at_most -= len(mine)
        return taken

    async def _fetch(self) -> bool:
        """Fetch what can be fetched. Whether anything came."""
        wanted = {tp: state for tp, state in self._states.items() if self._is_wanted(tp, state)}
        asked = {tp: (state.position, self._id_of(tp)) for tp, state in wanted.items()}
        if not asked:
            return False
        chunks = self._answers(asked)
        ends = {tp: (log.end, log.readable_end) for tp, (log, _) in chunks.items()}
        await self._ask("fetch")
        came = False
        for tp, (_, chunk) in chunks.items():
            state = self._states.get(tp)
            if state is None or (state.position, self._id_of(tp)) != asked[tp] or not self._is_named(tp):
                continue
            state.highwater, state.stable = ends[tp]
            state.answered_at = int(self.world.clock.now * 1000)
            if chunk.records and self.world.happens("part of a record"):
                self._fail(tp, RecordTooLargeError())
                state.position = (state.position or 0) + 1
                came = True
            elif chunk.next > (state.position or 0) or chunk.unreadable:
                state.fetched = chunk
                came = True
        return came

    def _answers(self, asked: Asked) -> dict[TopicPartition, tuple[Log, Chunk]]:
        chunks: dict[TopicPartition, tuple[Log, Chunk]] = {}
        for tp, (position, topic_id) in asked.items():
            log = self.kafka.find(tp, topic_id)
            if topic_id is None and self._topic_ids is not None:
                self._by_name.add(tp)
            if log is None:
                self._refused.add(tp)
            elif log.leaderless_until <= self.world.clock.now:
                try:
                    chunks[tp] = log, log.fetch(position or 0)
                except OffsetOutOfRangeError as error:
                    self._fail(tp, error)
        return chunks

    def _fail(self, tp: TopicPartition, error: KafkaError) -> None:
        self.failures[tp] = error
        self._refused.add(tp)

    def _is_wanted(self, tp: TopicPartition, state: State) -> bool:
        waits = state.paused or state.position is None or state.fetched is not None
        return not waits and self._is_named(tp)

    def _is_named(self, tp: TopicPartition) -> bool:
        return tp not in self._refused and (self._topic_ids is None or tp in self._topic_ids)

    def _id_of(self, tp: TopicPartition) -> str | None:
        return self._topic_ids.get(tp) if self._topic_ids else None

    def _assigned(self, tp: TopicPartition) -> State:
        if tp not in self._states:
            raise IllegalStateError(f"No current assignment for partition {tp}")
        return self._states[tp]
