"""What must be true before the consumer starts: each check says what is wrong, where, and what to do."""

from collections.abc import Mapping

from migrations.runner import current_revision, head_revision

from .database_errors import explained
from .errors import ReelsyncError
from .kafka_log import KafkaLog
from .settings import DatabaseSettings, KafkaSettings


async def check_schema(settings: DatabaseSettings) -> str:
    """The revision of the database, which is the one that this version needs.

    Raises:
        UnavailableError: the database cannot be reached.
        ReelsyncError: it cannot be used as it is, or is at another revision.
    """
    with explained(settings):
        current = await current_revision(settings.url.get_secret_value())
    head = head_revision()
    if current != head:
        message = f"the database is at revision {current or 'none'}, this version needs {head}: run `reelsync migrate`"
        raise ReelsyncError(message)
    return head


async def check_brokers(log: KafkaLog) -> Mapping[str, int]:
    """The cluster's topics and their numbers of partitions.

    Raises:
        UnavailableError: no broker answers.
        MisconfiguredError: one does, and cannot be used with these settings.
    """
    _, topics = await log.cluster()
    return topics


def check_topics(topics: Mapping[str, int], settings: KafkaSettings) -> dict[str, int]:
    """The topics of the settings, with their numbers of partitions.

    Raises:
        ReelsyncError: one does not exist.
    """
    missing = [topic for topic in settings.topics if topic not in topics]
    if missing:
        message = (
            f"no such topic, or none that the user may read: {', '.join(missing)}. Create it, grant it, or name other "
            "topics in REELSYNC_KAFKA__TOPICS"
        )
        raise ReelsyncError(message)
    return {topic: topics[topic] for topic in settings.topics}
