"""Reading one's own writes: waiting until the rows hold what a published record says.

A consumer commits its positions together with the rows. So if a position is past a record, its rows are visible too, on
a standby as on the primary.
"""

import asyncio
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, Self

from sqlalchemy import Row, Select, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from .consumer_state import ConsumerOffset, DeadLetter

_SHORTEST_SECONDS = 0.005
_LONGEST_SECONDS = 0.25
# Neither BEGIN nor ROLLBACK is sent, each of which would take as long as the statement.
_ONE_STATEMENT = {"isolation_level": "AUTOCOMMIT"}
_NAMED = {"query_name": "queries.wait_until_applied"}
_PLACE = re.compile(r"([a-zA-Z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


class AcknowledgedRecord(Protocol):
    """What a publisher's `send` returns, or aiokafka's RecordMetadata."""

    @property
    def topic(self) -> str:
        """The name of the topic."""

    @property
    def partition(self) -> int:
        """The number of the partition."""

    @property
    def offset(self) -> int:
        """The offset in the partition."""


class DeliveredMessage(Protocol):
    """What confluent-kafka gives to `on_delivery`."""

    def topic(self) -> str | None:
        """The name of the topic."""

    def partition(self) -> int | None:
        """The number of the partition."""

    def offset(self) -> int | None:
        """The offset in the partition."""


class Place(NamedTuple):
    """Where a record is in the log. As text it is `topic/partition/offset`, to hand to another service."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that a text names.

        Raises:
            ValueError: it names none.
        """
        parts = _PLACE.fullmatch(text)
        if parts is None:
            raise ValueError("a place is topic/partition/offset, such as video-events/0/42")
        return cls(parts[1], int(parts[2]), int(parts[3]))

    @classmethod
    def of(cls, sent: AcknowledgedRecord | DeliveredMessage) -> Self:
        """The place of a record that a client sent.

        Raises:
            ValueError: the brokers did not say where it is.
        """
        place: tuple[Any, ...] = (sent.topic, sent.partition, sent.offset)
        topic, partition, offset = (part() if callable(part) else part for part in place)
        if topic is None or partition is None or offset is None or min(partition, offset) < 0:
            raise ValueError("the brokers did not say where the record is: publish with acks=all, and wait for it")
        return cls(topic, partition, offset)


@dataclass(frozen=True)
class Outcome:
    """What became of a record. It is true if it was applied.

    `reason` says why a record became a dead letter: one of the reasons in docs/dead-letters.md.
    """

    state: Literal["applied", "dead letter", "timed out"]
    reason: str | None = None

    def __bool__(self) -> bool:
        return self.state == "applied"


async def wait_until_applied(
    session: AsyncSession,
    sent: AcknowledgedRecord | DeliveredMessage,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - the end of a wait is an answer here, not an error
    group: str = "reelsync",
) -> Outcome:
    """Wait until a consumer group has applied a record, and say what became of it.

    It looks at least once, then again after pauses that grow from 5 ms to 250 ms. Between two looks the session has no
    connection. Objects that the session loaded before are expired: the next query reads them anew.

    Args:
        session: Outside of a transaction. On a standby, the answer is about what that standby has.
        sent: What the producer's `send` returned, or a `Place`.
        timeout: Seconds to go on looking. A look that waits for a connection or a lock is limited by the engine.
        group: The consumer group, as in REELSYNC_KAFKA__GROUP_ID.

    Raises:
        ValueError: the brokers did not say where the record is.
        RuntimeError: the session is in a transaction, or has changes that were not committed.
        sqlalchemy.exc.DBAPIError: the database refused, or is away.
    """
    parameters = _parameters(session, sent, group)
    pauses = _pauses(timeout)
    while True:
        connection = await session.connection(execution_options=_ONE_STATEMENT)
        found = (await connection.execute(LOOK, parameters, execution_options=_NAMED)).one_or_none()
        await session.rollback()
        if found is not None:
            return _outcome(found)
        if (pause := next(pauses, None)) is None:
            return Outcome("timed out")
        await asyncio.sleep(pause)


def wait_until_applied_blocking(
    session: Session,
    sent: AcknowledgedRecord | DeliveredMessage,
    *,
    timeout: float = 5.0,
    group: str = "reelsync",
) -> Outcome:
    """The same for a program without asyncio, which brings a blocking driver for PostgreSQL.

    Raises:
        ValueError: as `wait_until_applied`, and so are the others.
        RuntimeError: likewise.
        sqlalchemy.exc.DBAPIError: likewise.
    """
    parameters = _parameters(session, sent, group)
    pauses = _pauses(timeout)
    while True:
        connection = session.connection(execution_options=_ONE_STATEMENT)
        found = connection.execute(LOOK, parameters, execution_options=_NAMED).one_or_none()
        session.rollback()
        if found is not None:
            return _outcome(found)
        if (pause := next(pauses, None)) is None:
            return Outcome("timed out")
        time.sleep(pause)


def _look() -> Select[int, str]:
    """The position of the partition, and the reason of the record's dead letter, in one snapshot.

    A letter's key has the record's checksum too, which no producer's answer has. So a letter of an earlier topic of
    this name, at the same offset, counts as this record's.
    """
    offset = bindparam("offset", type_=ConsumerOffset.next_offset.type)
    letter = and_(
        DeadLetter.consumer_group == ConsumerOffset.consumer_group,
        DeadLetter.topic == ConsumerOffset.topic,
        DeadLetter.partition == ConsumerOffset.partition,
        DeadLetter.offset == offset,
        DeadLetter.state != "redriven",
    )
    return (
        select(ConsumerOffset.next_offset, DeadLetter.reason)
        .outerjoin(DeadLetter, letter)
        .where(
            ConsumerOffset.consumer_group == bindparam("group"),
            ConsumerOffset.topic == bindparam("topic"),
            ConsumerOffset.partition == bindparam("partition"),
            ConsumerOffset.read_from <= offset,
            ConsumerOffset.next_offset > offset,
        )
        .order_by(DeadLetter.record_timestamp.desc())
        .limit(1)
    )


LOOK = _look()


def _parameters(
    session: AsyncSession | Session, sent: AcknowledgedRecord | DeliveredMessage, group: str
) -> dict[str, Any]:
    if session.in_transaction() or session.new or session.dirty or session.deleted:
        raise RuntimeError("the session is in a transaction, which waiting would end: commit or roll back first")
    return {**Place.of(sent)._asdict(), "group": group}


def _outcome(found: Row[int, str]) -> Outcome:
    return Outcome("applied") if found.reason is None else Outcome("dead letter", found.reason)


def _pauses(seconds: float) -> Iterator[float]:
    """Growing pauses, jittered, until so many seconds are over. The last one ends with them."""
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        yield min(left, pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
        pause = min(2 * pause, _LONGEST_SECONDS)
