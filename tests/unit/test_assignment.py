"""An assignment is whole: what was read before it is forgotten, however late it was settled."""

from typing import Any, ClassVar

import pytest
from aiokafka import TopicPartition

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.source.positioning import Found, Settled
from tests.support.observing import RecordingObserver


class NoPositions:
    """Asked for nothing: no partition is settled here."""


def test_a_partition_that_was_settled_after_its_revocation_is_not_read_under_the_next_assignment() -> None:
    settings = KafkaSettings()
    source = KafkaSource(settings, KafkaLog(settings), NoPositions(), RecordingObserver())
    source._positions[Partition("video-events", 0)] = 5
    epoch = source.epoch
    source.on_partitions_assigned({TopicPartition("video-events", 1)})
    assert source.positions == {}
    assert source.epoch > epoch


class Forming:
    """A member whose group is being formed: it still names the partitions of before."""

    divided, refused = None, False
    unreadable: ClassVar[dict[Partition, Any]] = {}
    failures: ClassVar[dict[TopicPartition, Any]] = {}

    def __init__(self) -> None:
        self.polls = 0

    async def getmany(self, *_partitions: TopicPartition, **_limits: int) -> dict[Any, Any]:
        self.polls += 1
        return {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("video-events", 0)}

    def without_leader(self, _partitions: Any) -> set[Partition]:
        return set()

    def last_poll_timestamp(self, _tp: TopicPartition) -> int:
        return 1


@pytest.mark.parametrize("assigned", [False, True])
async def test_nothing_is_settled_while_the_group_is_being_formed(*, assigned: bool) -> None:
    settings = KafkaSettings()
    source = KafkaSource(settings, KafkaLog(settings), NoPositions(), RecordingObserver())
    asked: list[frozenset[Partition]] = []

    async def look_up(_member: Any, _cluster_id: Any, unsettled: frozenset[Partition]) -> Settled:
        asked.append(unsettled)
        return Settled(unsettled, unsettled, {}, Found({}, {}, unsettled))

    source._positioning.look_up = look_up
    source._consumer, source._assigned = Forming(), assigned
    source._unsettled = {Partition("video-events", 0)}
    await source.poll(10, [])
    assert len(asked) == assigned


async def test_a_member_whose_positions_were_forgotten_waits_for_its_group() -> None:
    """A poll that returned without waiting would be begun again at full speed, until partitions are assigned."""
    settings = KafkaSettings()
    source = KafkaSource(settings, KafkaLog(settings), NoPositions(), RecordingObserver())
    member = source._consumer = Forming()
    source._unsettled = {Partition("video-events", 0)}
    await source.poll(10, [Partition("video-events", 0)])
    assert member.polls == 1
