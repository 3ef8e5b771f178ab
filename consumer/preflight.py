"""What must be true before the consumer starts: each check says what is wrong, where, and what to do."""

from collections.abc import Mapping

from aiokafka.errors import KafkaError

from migrations.runner import current_revision, head_revision

from .errors import ReelsyncError, UnavailableError, Verdict, classify, describe, sqlstate
from .kafka_log import KafkaLog
from .settings import DatabaseSettings, KafkaSettings

_DATABASE_FIXES = {
    "28": "the user or the password is refused: see REELSYNC_DATABASE__URL",
    "3D": "there is no such database: create it, or see REELSYNC_DATABASE__URL",
    "42": "the role may not read the schema: grant it what docs/runbook.md lists",
}


async def check_schema(settings: DatabaseSettings) -> str:
    """The revision of the database, which is the one that this version needs.

    Raises:
        UnavailableError: the database cannot be reached.
        ReelsyncError: it cannot be used as it is, or is at another revision.
    """
    try:
        current = await current_revision(settings.url.get_secret_value())
    except Exception as error:
        fix = _DATABASE_FIXES.get((sqlstate(error) or "")[:2])
        if fix is None and classify(error) is Verdict.OUTAGE:
            fix = "is PostgreSQL up, and REELSYNC_DATABASE__URL right?"
            raise UnavailableError(f"the database does not answer ({describe(error)}): {fix}") from error
        raise ReelsyncError(f"the database cannot be used ({describe(error)}): {fix or 'see its log'}") from error
    head = head_revision()
    if current != head:
        message = f"the database is at revision {current or 'none'}, this version needs {head}: run `reelsync migrate`"
        raise ReelsyncError(message)
    return head


async def check_brokers(log: KafkaLog, settings: KafkaSettings) -> Mapping[str, int]:
    """The cluster's topics and their numbers of partitions.

    Raises:
        UnavailableError: no broker answers.
    """
    try:
        _, topics = await log.cluster()
    except (KafkaError, OSError, TimeoutError) as error:
        message = (
            f"no broker answers at {settings.bootstrap_servers} ({type(error).__name__}): is Kafka up, and "
            "REELSYNC_KAFKA__BOOTSTRAP_SERVERS, …SECURITY_PROTOCOL, …SASL_* and …SSL_* right?"
        )
        raise UnavailableError(message) from error
    return topics


def check_topics(topics: Mapping[str, int], settings: KafkaSettings) -> dict[str, int]:
    """The topics of the settings, with their numbers of partitions.

    Raises:
        ReelsyncError: one does not exist.
    """
    missing = [topic for topic in settings.topics if topic not in topics]
    if missing:
        message = f"no such topic: {', '.join(missing)}. Create it, or name other topics in REELSYNC_KAFKA__TOPICS"
        raise ReelsyncError(message)
    return {topic: topics[topic] for topic in settings.topics}
