"""Creating topics on a broker."""

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from .child_process import ServiceError

_NO_ERROR = 0


async def create_topics(
    bootstrap_servers: str,
    partitions: Mapping[str, int],
    *,
    replicas: int = 1,
    configs: Mapping[str, str] | None = None,
) -> None:
    """Create topics with so many partitions each. Returns when the broker has taken them.

    Raises:
        ServiceError: one was refused, perhaps because it exists.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        wanted = [NewTopic(name, number, replicas, topic_configs=configs) for name, number in partitions.items()]
        response = await admin.create_topics(wanted)
    finally:
        await admin.close()
    for topic, code, *_ in response.topic_errors:
        if code != _NO_ERROR:
            raise ServiceError(f"the broker did not create topic {topic}: {for_code(code).__name__}")
