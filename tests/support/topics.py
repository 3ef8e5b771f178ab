"""Topics that are deleted and created again, and how anybody can tell."""

from aiokafka.admin import AIOKafkaAdminClient

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.settings import Settings
from tests.services.contract import Broker
from tests.support.running import eventually


async def delete_topic(settings: Settings, topic: str) -> None:
    """Delete it. Returns when the broker does not list it any more."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic])

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await eventually(gone, f"{topic} is deleted")
    await admin.close()


async def create_again(settings: Settings, broker: Broker, topic: str, partitions: int) -> None:
    """Delete the topic and create it again, with so many partitions, and see that it is another one."""
    before = await topic_id(settings, topic)
    await delete_topic(settings, topic)
    await broker.create_topics({topic: partitions})

    async def is_another() -> bool:
        return await topic_id(settings, topic) not in {None, before}

    await eventually(is_another, f"{topic} has another id than {before}")


async def topic_id(settings: Settings, topic: str) -> str | None:
    """The topic's id; None if there is no such topic."""
    topics = await KafkaLog(settings.kafka).topics([topic])
    return topics[topic].topic_id if topic in topics else None
