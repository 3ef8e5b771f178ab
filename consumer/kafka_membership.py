"""One membership of the consumer group, as it is made."""

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from .kafka_clients import connection_options
from .kafka_records import read_any_header_name
from .settings import KafkaSettings

_REQUEST_SECONDS = 40.0
_JOIN_MARGIN_SECONDS = 5.0
_FETCH_BYTES = 2 * 1024 * 1024
"""Of all partitions of a broker together, fetched ahead of what is polled: aiokafka's default is 50 MiB."""


def new_member(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer that commits nothing by itself and takes no position from Kafka. It has not joined yet.

    A request to join is answered when the slowest member has finished: within the rebalance timeout, which the time
    limit of requests must not undercut.
    """
    read_any_header_name()
    return AIOKafkaConsumer(
        **connection_options(settings),
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        partition_assignment_strategy=[RangePartitionAssignor],
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 10,
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        request_timeout_ms=round(
            max(_REQUEST_SECONDS, settings.rebalance_timeout_ms / 1000 + _JOIN_MARGIN_SECONDS) * 1000
        ),
        metadata_max_age_ms=30_000,
        fetch_max_bytes=_FETCH_BYTES,
    )
