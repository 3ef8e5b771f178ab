"""The log that a command reads: Kafka's, or an archive and Kafka's after it."""

from pathlib import Path

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.preflight import check_topics
from reelsync.consumer.settings import KafkaSettings


async def log_to_read(
    kafka: KafkaSettings, archive: Path | None
) -> tuple[KafkaLog | ArchivedLog, str | None, dict[str, int]]:
    """The log, the id of the cluster, and the topics with their numbers of partitions.

    Raises:
        ReelsyncError: a topic is neither in Kafka nor in the archive, or the brokers cannot be used.
    """
    log = KafkaLog(kafka)
    cluster_id, found = await log.cluster()
    if archive is None:
        return log, cluster_id, check_topics(found, kafka)
    archived = ArchivedLog(log, archive, kafka.topics)
    both = found | {topic: max(count, found.get(topic, 0)) for topic, count in archived.topics.items()}
    return archived, cluster_id, check_topics(both, kafka)
