"""Apache Kafka creates a topic for whoever asks for it, where it is let: not for the consumer."""

import pytest
from aiokafka.client import AIOKafkaClient

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.containers import ContainerBroker
from tests.support.builders import an_id, user, video
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.topics import delete_topic, topic_id

pytestmark = pytest.mark.timeout(300)


async def test_a_consumer_creates_no_topic(settings: Settings) -> None:
    with ContainerBroker(KAFKA_AUTO_CREATE_TOPICS_ENABLE="true") as broker:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        settings = settings.model_copy(update={"kafka": kafka})
        topic, other = topic_of(settings, "video"), topic_of(settings, "user")
        await broker.create_topics(dict.fromkeys(settings.kafka.topics, 1))
        await publish(settings, topic, [(an_id(1).encode(), video("created"))])
        async with consuming(settings) as consumer:
            await until_applied(settings)
            await delete_topic(settings, topic)

            async def is_gone() -> bool:
                member = consumer.source._consumer
                assigned = member.assignment() if member else ()
                return bool(assigned) and all(tp.topic != topic for tp in assigned)

            await eventually(is_gone, "the group was formed without the topic")
            for number in range(3):
                assert consumer.source._consumer is not None
                await consumer.source._consumer._client.force_metadata_update()
                await publish(settings, other, [(an_id(number).encode(), user("created", number))])

            async def goes_on() -> bool:
                return sum(row["version"] == 1 for row in await rows_of(settings, "users")) == 3

            await eventually(goes_on, "the other topic goes on")
            assert await topic_id(settings, topic) is None
        await see_that_the_broker_would(broker, topic)


async def see_that_the_broker_would(broker: ContainerBroker, topic: str) -> None:
    """Ask as aiokafka does by itself."""
    client = AIOKafkaClient(bootstrap_servers=broker.bootstrap_servers)
    await client.bootstrap()

    async def is_created() -> bool:
        await client.add_topic(topic)
        await client.force_metadata_update()
        return client.cluster.partitions_for_topic(topic) is not None

    await eventually(is_created, "the broker creates a topic for whoever asks")
    await client.close()
