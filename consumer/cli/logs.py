"""The topics and the log that a command reads: Kafka's, or an archive and Kafka's after it."""

from collections.abc import Mapping
from pathlib import Path

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.operations.standing import hidden_positions
from reelsync.consumer.preflight import check_topics
from reelsync.consumer.settings import Settings


async def log_to_read(
    settings: Settings, archive: Path | None
) -> tuple[KafkaLog | ArchivedLog, str | None, dict[str, int]]:
    """The log, the id of the cluster, and the topics with their numbers of partitions.

    Raises:
        ReelsyncError: a topic is neither in Kafka nor in the archive and has no positions, or a server cannot be
            used.
    """
    log = KafkaLog(settings.kafka)
    cluster_id, found = await log.cluster()
    if archive is None:
        return log, cluster_id, await topics_of_group(settings, found)
    archived = ArchivedLog(log, archive, settings.kafka.topics)
    both = found | {topic: max(count, found.get(topic, 0)) for topic, count in archived.topics.items()}
    return archived, cluster_id, await topics_of_group(settings, both)


async def topics_of_group(settings: Settings, found: Mapping[str, int]) -> dict[str, int]:
    """The topics of the settings with their numbers of partitions, if these are `found` at the brokers.

    Topics that the brokers no longer show have the partitions in which the group has positions.

    Raises:
        ReelsyncError: a topic is not there and never was, or the database cannot be used.
    """
    return check_topics(found, settings.kafka, await hidden_positions(settings, found))
