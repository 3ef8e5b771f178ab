"""The verdict on one record, where a test needs no decoder for many."""

from collections.abc import Mapping

from reelsync.consumer.records import Record
from reelsync.consumer.transform.decode import Rejection, decoder
from reelsync.events import WireEvent
from reelsync.events.debezium import Topic


def decode(record: Record, topics: Mapping[str, Topic], max_value_bytes: int) -> WireEvent | Rejection:
    """The event that `record` carries, an erasure included, or why there is none."""
    return decoder(topics, max_value_bytes)(record)
