"""Where reading continues: at the stored positions, if they fit the present logs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from reelsync.consumer.kafka.clients import Member
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.neighbours import Home
from reelsync.consumer.kafka.reader import Topic
from reelsync.consumer.kafka.survey import Bounds
from reelsync.consumer.offsets.check import Halt, LogState, check_position, deleted, other_database, unknown
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings


class PositionStore(Protocol):
    """Stored positions."""

    async def home(self) -> Home:
        """The database that they are in."""

    async def positions(
        self,
        cluster_id: str | None,
        starts: Mapping[Partition, int],
        topic_ids: Mapping[Partition, str | None] | None = None,
    ) -> dict[Partition, Stored]:
        """The stored positions of these partitions. A new partition first gets its start and its topic id."""

    async def adopt(
        self, held: Mapping[Partition, Stored], topic_ids: Mapping[Partition, str | None]
    ) -> set[Partition]:
        """Store the topic ids of positions that are still as they were read. Returns the partitions stored."""


class Found(NamedTuple):
    """Positions to continue from, partitions to halt, and partitions that no longer exist.

    A partition that is in none of them must be looked up again.
    """

    positions: dict[Partition, Stored]
    halts: dict[Partition, Halt]
    gone: frozenset[Partition]


class Settled(NamedTuple):
    """What was found of those of the unsettled partitions that are assigned."""

    unsettled: frozenset[Partition]
    assigned: frozenset[Partition]
    topics: Mapping[str, Topic]
    found: Found


@dataclass
class Positioning:
    """Looks up where partitions are read from, for one member of the group after another."""

    settings: KafkaSettings
    log: KafkaLog
    store: PositionStore

    async def look_up(self, member: Member, cluster_id: str | None, unsettled: frozenset[Partition]) -> Settled:
        """What there is of these partitions. Raises what `look_up` raises."""
        topics = await member.topics(self.settings.topics.keys())
        assigned = unsettled & {Partition(*tp) for tp in member.assignment()}
        if member.divided:
            found = Found({}, dict.fromkeys(assigned, other_database(member.divided)), frozenset())
        else:
            found = await look_up(assigned, topics, self.log, self.store, cluster_id, self.settings)
        return Settled(unsettled, assigned, topics, found)


async def look_up(  # noqa: PLR0913, PLR0917 - what is asked, who is asked, and the settings
    partitions: Collection[Partition],
    topics: Mapping[str, Topic],
    log: KafkaLog,
    store: PositionStore,
    cluster_id: str | None,
    settings: KafkaSettings,
) -> Found:
    """Look up the stored positions and the logs, and compare them, each partition on its own.

    `topics` was asked for before. A position belongs to the topic id in it, and later fetches by that id read from that
    topic, even if the topic is created again during this lookup.

    Raises:
        KafkaFailedError: no broker answered.
        Exception: the stored positions could not be read.
    """
    found = await log.survey(partitions, topics, soon=True)
    halts = {partition: unknown(partition, trouble) for partition, trouble in found.troubles.items()}
    halts |= {partition: deleted(partition) for partition in partitions if partition.topic not in topics}
    bounds = found.bounds
    gone = frozenset(partitions) - {*bounds, *halts}
    topic_ids = {partition: at.topic_id for partition, at in bounds.items()}
    starts = {p: at.begin if settings.start_from == "earliest" else at.end for p, at in bounds.items()}
    stored = await store.positions(cluster_id, starts, topic_ids) if starts else {}
    wanted = {p: s.anchor.offset for p, s in stored.items() if s.anchor and _inside(s.anchor.offset, bounds[p])}
    anchors = await log.anchors(wanted, settings.anchor_timeout_ms / 1000, topic_ids)
    positions = {}
    for partition, position in stored.items():
        log_state = LogState(
            bounds[partition].begin, bounds[partition].end, anchors.get(partition), topic_ids[partition]
        )
        if halt := check_position(position, log_state, cluster_id):
            halts[partition] = halt
        else:
            positions[partition] = position
    return Found(await _adopted(store, positions, topic_ids), halts, gone)


async def _adopted(
    store: PositionStore, positions: Mapping[Partition, Stored], topic_ids: Mapping[Partition, str | None]
) -> dict[Partition, Stored]:
    """The positions, each stored with the id of its topic, without those that were moved meanwhile.

    A position has no id, or an older one, if an older release stored it or if nothing was taken from the topic before.
    """
    strange = {
        partition: position
        for partition, position in positions.items()
        if topic_ids[partition] not in {None, position.topic_id}
    }
    adopted = await store.adopt(strange, topic_ids) if strange else set()
    return {
        partition: position._replace(topic_id=topic_ids[partition]) if partition in adopted else position
        for partition, position in positions.items()
        if partition in adopted or partition not in strange
    }


def _inside(offset: int, bounds: Bounds) -> bool:
    return bounds.begin <= offset < bounds.end
