"""The log is no longer the one that was read: the partition halts and says so, and no row changes."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from reelsync.consumer.settings import Settings
from tests.faults.campaign import Campaign
from tests.faults.outcomes import Outcome
from tests.services.contract import Broker
from tests.support.builders import an_id, video
from tests.support.running import eventually, publish, topic_of
from tests.support.topics import create_again

Take = Callable[[Outcome], None]
KEY = an_id(1).encode()


async def recreate(settings: Settings, broker: Broker, records: int, partitions: int = 3) -> None:
    """Make the topic anew, with other records."""
    topic = topic_of(settings, "video")
    await create_again(settings, broker, topic, partitions)
    for partition in range(partitions):
        values = [(KEY, video("created", 5_000 + number)) for number in range(records)]
        await publish(settings, topic, values, partitioner=lambda *_, chosen=partition: chosen)


async def recreated(settings: Settings, broker: Broker) -> None:
    await recreate(settings, broker, 500)


async def recreated_with_fewer_records(settings: Settings, broker: Broker) -> None:
    await recreate(settings, broker, 3)


async def recreated_with_fewer_partitions(settings: Settings, broker: Broker) -> None:
    await recreate(settings, broker, 500, partitions=1)


async def retention(settings: Settings, _broker: Broker) -> None:
    topic = topic_of(settings, "video")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    for partition in range(3):
        values = [(KEY, video("created", 5_000 + number)) for number in range(400)]
        await publish(settings, topic, values, partitioner=lambda *_, chosen=partition: chosen)
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=400)})
    await admin.close()


@pytest.mark.parametrize(
    ("fault", "halts"),
    [
        (recreated, 3),
        (recreated_with_fewer_records, 3),
        (recreated_with_fewer_partitions, 1),
        pytest.param(retention, 3, marks=pytest.mark.apache_kafka(because="deletes no records")),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_log_that_is_not_the_one_that_was_read_halts(
    campaign: Campaign, broker: Broker, outcomes: Take, fault: Callable[[Settings, Broker], Awaitable[None]], halts: int
) -> None:
    with campaign.consumer():
        await campaign.apply(300)
    await fault(campaign.settings, broker)
    with campaign.consumer() as consumer:

        async def halted() -> bool:
            return consumer.count("partition.halted", reason=fault.__name__.partition("_")[0]) == halts

        await eventually(halted, f"{halts} partitions halt: {consumer.said()}")
        videos = topic_of(campaign.settings, "video")
        campaign.continue_with(lambda record: record.topic != videos)
        await campaign.publish(100)
        await campaign.recover()
    outcomes(await campaign.judge(f"log: {fault.__name__}", halts))
