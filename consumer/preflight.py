"""What must be true before the consumer starts: each check says what is wrong, where, and what to do."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.postgres.diagnosis import explained, tls_mode
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.postgres.sqlstate import sqlstate
from reelsync.migrations.compatibility import schema_state
from reelsync.migrations.revisions import head_revision
from reelsync.models.database_url import hosts_of, parse_url
from reelsync.models.engine import create_single_use_engine
from reelsync.models.pooler import Pooler, find_pooler

from .errors import MisconfiguredError, ReelsyncError, UnavailableError
from .records import Partition
from .settings import DatabaseSettings, KafkaSettings, Settings
from .settings.passwords import database_password
from .sink.rehearsal import rehearse

BROKERS = "brokers"
DATABASE = "database and schema"
"""Names of checks, in what `reelsync check` prints."""

_POOLER = "REELSYNC_DATABASE__POOLER"
_UNKNOWN_STATEMENT = "26000"
_IN_TRANSACTION_MODE = f"a pooler in transaction mode is in front of the database: set {_POOLER}=transaction"
_STATE = text(
    "SELECT current_setting('transaction_read_only') AS read_only, pg_is_in_recovery() AS standby, "
    "current_setting('server_encoding') AS encoding, "
    "(SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout"
)
_NAMED = {"query_name": "database.state"}

_log = structlog.get_logger("reelsync")


async def check_schema(settings: DatabaseSettings) -> str:
    """The revision of the database: the one that this version has, or a later one that it may use.

    Raises:
        UnavailableError: the database cannot be reached.
        ReelsyncError: it cannot be used as it is, or is at another revision.
    """
    with explained(settings):
        url, password = settings.url.get_secret_value(), database_password(settings)
        state = await schema_state(url, password, settings.schema_name)
    head = head_revision()
    if state.foreign:
        raise ReelsyncError(another_program(state.foreign))
    if not state.usable:
        sentence = f"the database is at revision {state.revision or 'none'}, this version needs {head}: "
        fix = (
            "deploy the version of reelsync that migrated it, because this one is older and cannot use it"
            if state.newer
            else "run `reelsync migrate`"
        )
        raise ReelsyncError(sentence + fix)
    if state.newer:
        _log.info("schema.newer", revision=state.revision, ours=head)
    return state.revision or head


async def check_database(settings: DatabaseSettings) -> Pooler:
    """Check the way to the database, and that it takes writes and every text that events may hold.

    Call this after `check_schema`. Returns the pooler in front of the database, if one is found.

    Raises:
        UnavailableError: the database cannot be reached, or takes no writes now.
        MisconfiguredError: there is a pooler that the settings do not fit, or the encoding is not UTF8.
    """
    engine = engine_of(settings)
    try:
        with explained(settings):
            found, state = await _look_or_name_the_pooler(engine, settings)
    finally:
        await engine.dispose()
    if found == "transaction" != settings.pooler:
        raise MisconfiguredError(_IN_TRANSACTION_MODE)
    if state.statement_timeout != max(1, round(settings.statement_timeout * 1000)):
        raise MisconfiguredError(
            f"the time limits do not reach the database (statement_timeout is {state.statement_timeout} ms there): "
            f"a pooler that ignores them is in front of it. Set {_POOLER} to session or transaction, as its mode is"
        )
    _check_state(state)
    return found


async def check_writes(settings: DatabaseSettings, group: str, *, skip_if_locked: bool = False) -> None:
    """Check that the database takes all that a batch writes, by a transaction that is rolled back: see `rehearse`.

    Call this after `check_database`.

    Raises:
        UnavailableError: the database cannot be reached.
        ReelsyncError: it refuses something; says what the server says.
    """
    engine = engine_of(settings)
    try:
        with explained(settings):
            await rehearse(engine, group, skip_if_locked=skip_if_locked)
    finally:
        await engine.dispose()


async def check_session(settings: DatabaseSettings, command: str) -> None:
    """Check that a command which holds a lock for its whole session has such a session, and that it may write there.

    Raises:
        UnavailableError: the database cannot be reached, or takes no writes now.
        MisconfiguredError: a pooler in transaction mode is in front of the database, or its encoding is not UTF8.
    """
    if settings.pooler != "transaction":
        engine = create_single_use_engine(settings.url.get_secret_value(), database_password(settings))
        try:
            with explained(settings):
                found, state = await _look(engine)
        finally:
            await engine.dispose()
        if found != "transaction":
            _check_state(state)
            return
    raise MisconfiguredError(
        f"{command} needs a session, which a pooler in transaction mode does not give: run it with the database's "
        f"own address in REELSYNC_DATABASE__URL, past the pooler, and {_POOLER}=none"
    )


async def _look(engine: AsyncEngine) -> tuple[Pooler, Row[Any]]:
    """The pooler in front of the database, and the state of the database."""
    async with engine.connect() as first, engine.connect() as second:
        found = await find_pooler(first, second)
        return found, (await first.execute(_STATE, execution_options=_NAMED)).one()


def _check_state(state: Row[Any]) -> None:
    if state.encoding != "UTF8":
        raise MisconfiguredError(
            f"the database's encoding is {state.encoding}, in which not every event can be stored: create it anew with "
            "ENCODING 'UTF8' TEMPLATE template0"
        )
    if state.read_only == "on":
        why = "it is a standby" if state.standby else "default_transaction_read_only is on for it or for the role"
        raise UnavailableError(f"the database takes no writes: {why}. See the server in REELSYNC_DATABASE__URL")


async def _look_or_name_the_pooler(engine: AsyncEngine, settings: DatabaseSettings) -> tuple[Pooler, Row[Any]]:
    """Look; if a pooler refuses what an engine with these settings sends, say what to set."""
    try:
        return await _look(engine)
    except DBAPIError as error:
        if sqlstate(error) == _UNKNOWN_STATEMENT and settings.pooler != "transaction":
            raise MisconfiguredError(_IN_TRANSACTION_MODE) from error
        raise


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


def check_topics(
    topics: Mapping[str, int], settings: KafkaSettings, positions: Iterable[Partition] = ()
) -> dict[str, int]:
    """The topics of the settings, with their numbers of partitions.

    A topic that the brokers do not show, because it was deleted or the user may not see it any more, has the partitions
    for which there are `positions`.

    Raises:
        ReelsyncError: a topic is not there and never was.
    """
    topics = {**{partition.topic: partition.number + 1 for partition in sorted(positions)}, **topics}
    missing = [topic for topic in settings.topics if topic not in topics]
    if missing:
        message = (
            f"no such topic, or none that the user may read: {', '.join(missing)}. Create it, grant it, or name other "
            "topics in REELSYNC_KAFKA__TOPICS"
        )
        raise ReelsyncError(message)
    return {topic: topics[topic] for topic in settings.topics}


def check_relay_topic(topics: Mapping[str, int], relay_topic: str | None) -> None:
    """Check that the topic for dead letters exists, if one is set.

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
    """For each check by its name, how a password could be exposed although the check itself succeeds."""
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
