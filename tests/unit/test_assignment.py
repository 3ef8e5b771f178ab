"""An assignment is whole: what was read before it is forgotten, however late it was settled."""

from aiokafka import TopicPartition

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings
from reelsync.consumer.source.kafka_source import KafkaSource
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
