"""Topics that Apache Kafka compacts, at once and as far as it does."""

from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from reelsync.consumer.settings import KafkaSettings
from tests.support.running import eventually

_EAGER = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "100",
}


async def compact_eagerly(settings: KafkaSettings, topic: str) -> None:
    """Make the broker compact the topic as soon as it can."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=_EAGER)])
    await admin.close()


async def until_compacted(
    settings: KafkaSettings, topic: str, least: int, publish: Callable[[], Awaitable[None]]
) -> int:
    """Wait until no record before the offset `least` is left; returns where the longest partition ends.

    `publish` adds a record of the same key. Each rolls the segment: the last one is never compacted.
    """
    reader = AIOKafkaConsumer(topic, bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest")
    await reader.start()

    async def is_compacted() -> bool:
        await publish()
        await reader.seek_to_beginning()
        kept: list[int] = []
        ends = await reader.end_offsets(list(reader.assignment()))
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            for records in (await reader.getmany(timeout_ms=100)).values():
                kept += [record.offset for record in records]
        return bool(kept) and min(kept) >= least

    await eventually(is_compacted, "the log is compacted")
    ends = await reader.end_offsets(list(reader.assignment()))
    await reader.stop()
    return max(ends.values())
