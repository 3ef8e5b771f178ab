"""Whether a consumer group is live, as the brokers know it."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from .kafka_clients import connection_options
from .settings import KafkaSettings


async def count_members(settings: KafkaSettings) -> int:
    """How many members the group of the settings has; 0 for a group that nobody has joined.

    A member that ended without leaving counts until its session timeout is over.

    Raises:
        KafkaError: the brokers did not answer, or would not say.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings), request_timeout_ms=10_000)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([settings.group_id])
    finally:
        await admin.close()
    ((error_code, _group, _state, _protocol_type, _protocol, members, *_),) = answer.groups
    if error_code:
        raise for_code(error_code)
    return len(members)
