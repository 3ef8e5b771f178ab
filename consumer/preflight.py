"""What must be true before the consumer starts: each check says what is wrong, where, and what to do."""

from collections.abc import Mapping

import structlog

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.postgres.diagnosis import explained, tls_mode
from reelsync.migrations.compatibility import schema_state
from reelsync.migrations.revisions import head_revision
from reelsync.models.database_url import hosts_of, parse_url

from .errors import ReelsyncError
from .settings import DatabaseSettings, KafkaSettings, Settings

BROKERS = "brokers"
DATABASE = "database and schema"
"""Names of checks, in what `reelsync check` prints."""

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
    if state.foreign:
        raise ReelsyncError(another_program(state.foreign))
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


def another_program(why: str) -> str:
    """The sentence for a database whose schema Alembic keeps for another program."""
    return f"{why}: it is another program's: give reelsync a database of its own in REELSYNC_DATABASE__URL"


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


def clear_text_warnings(settings: Settings) -> dict[str, str]:
    """By the name of a check, how a password could reach somebody else although the check itself succeeds."""
    warnings: dict[str, str] = {}
    kafka = settings.kafka
    if kafka.security_protocol == "SASL_PLAINTEXT" and kafka.sasl_mechanism == "PLAIN":
        warnings[BROKERS] = (
            "the password is sent in clear text: set REELSYNC_KAFKA__SECURITY_PROTOCOL to SASL_SSL, or "
            "REELSYNC_KAFKA__SASL_MECHANISM to SCRAM-SHA-512"
        )
    url = parse_url(settings.database.url.get_secret_value())
    mode = tls_mode(url)
    if hosts_of(url) and mode in {"allow", "disable", "prefer"}:
        warnings[DATABASE] = (
            f"sslmode is {mode}: a server without TLS gets the password and all data in clear text. Between machines, "
            "set sslmode=verify-full in REELSYNC_DATABASE__URL"
        )
    return warnings
