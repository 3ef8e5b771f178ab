"""Which partitions stay halted before a batch that cannot be unpacked."""

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.kafka.record_batches import Unreadable
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Partition
from reelsync.consumer.source.halts import Halts

HERE = Partition("video-events", 0)


@pytest.mark.parametrize(
    ("position", "topic_id", "stays"),
    [
        (11, "a topic", True),
        (13, "a topic", True),
        pytest.param(10, "a topic", False, id="what was read before it was never written"),
        pytest.param(14, "a topic", False, id="an operator has decided to go on without it"),
        pytest.param(11, "another of that name", False, id="the topic was created again"),
    ],
)
def test_a_partition_stays_halted_only_where_nothing_can_be_read(position: int, topic_id: str, *, stays: bool) -> None:
    halts = Halts()
    with capture_logs():
        assert halts.halt_unreadable({HERE: Unreadable(12, 14, "a bit is wrong")}, {HERE: 11}, {HERE: "a topic"}) == [
            HERE
        ]
    assert halts.is_before_unreadable(HERE, Stored(position, None, None, topic_id)) is stays


@pytest.mark.parametrize(("position", "goes_on"), [(10, True), (11, False), (14, False)])
def test_from_an_earlier_position_it_goes_on_and_what_was_read_is_forgotten(position: int, *, goes_on: bool) -> None:
    """What was read in between was never written, or is in a batch that may be written yet."""
    halts = Halts()
    with capture_logs():
        halts.halt_unreadable({HERE: Unreadable(12, 14, "a bit is wrong")}, {HERE: 11}, {HERE: "a topic"})
        assert halts.resume_earlier({HERE: Stored(position, None, None, "a topic")}) is goes_on
    assert (HERE not in halts.halted) is goes_on
