"""What must be true before the consumer starts: each check says what is wrong, where, and what to do."""

from collections.abc import Mapping

import structlog

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.migrations.compatibility import schema_state
from reelsync.migrations.revisions import head_revision

from .errors import ReelsyncError
from .settings import DatabaseSettings, KafkaSettings

_log = structlog.get_logger("reelsync")


async def check_schema(settings: DatabaseSettings) -> str:
    """The revision of the database: the one that this version has, or a later one that it may use.

    Raises:
        UnavailableError: the database cannot be reached.
        ReelsyncError: it cannot be used as it is, or is at another revision.
    """
    with explained(settings):
        state = await schema_state(settings.url.get_secret_value())
    head = head_revision()
    if not state.usable:
        told = f"the database is at revision {state.revision or 'none'}, this version needs {head}: "
        fix = (
            "deploy the version of reelsync that migrated it, for this one is older and may not use it"
            if state.newer
            else "run `reelsync migrate`"
        )
        raise ReelsyncError(told + fix)
    if state.newer:
        _log.info("schema.newer", revision=state.revision, ours=head)
    return state.revision or head


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


def check_relay_topic(topics: Mapping[str, int], relay_topic: str | None) -> None:
    """See that the topic for dead letters is there, if one is set.

    Raises:
        ReelsyncError: it does not exist.
    """
    if relay_topic is not None and relay_topic not in topics:
        message = (
            f"no such topic, or none that the user may see: {relay_topic}. Create it, grant it, or name another in "
            "REELSYNC_DEAD_LETTERS__RELAY_TOPIC"
        )
        raise ReelsyncError(message)
