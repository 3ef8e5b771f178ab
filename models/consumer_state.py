"""The consumer's own tables: how far it has read, and what it could not apply."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    String,
    Table,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base
from .types import JSONType

ERASURE_LOCK = Table("erasure_lock", Base.metadata, Column("unused", Boolean))
"""An empty table. Transactions that park dead letters, and those that erase, lock it; a role that may only read cannot.
"""
LETTER_LOCKS = Table(
    "letter_locks",
    Base.metadata,
    Column("consumer_group", String(255), primary_key=True),
    Column("work", String(20), primary_key=True),
)
"""A row is locked by whoever works on the group's dead letters: one redriving consumer, one that relays, one operator.
"""


class ErasedUser(Base):
    """A person who was erased, without the id: what recognises events of theirs that come later.

    `digest` cannot be turned back into an id, but whoever has an id can ask whether it is here.
    """

    __tablename__ = "erased_users"
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]

    digest: Mapped[UUID] = mapped_column(primary_key=True)
    """The first 128 bits of SHA-256 of the id, in a spelling of its own."""
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When this database was told first."""
    erased_by: Mapped[str] = mapped_column(server_default=func.session_user())
    because: Mapped[str | None]
    """What the operator said."""


class ConsumerOffset(Base):
    """The position of one consumer group in one partition. This is the truth; Kafka's committed offset is a copy of it.

    The anchor is the last record that was applied. It distinguishes a log that continued from one that was truncated.
    The topic's id distinguishes a topic from one that was created again under the same name.
    """

    __tablename__ = "consumer_offsets"
    __table_args__ = (
        CheckConstraint("next_offset >= 0", name="next_offset"),
        {"postgresql_with": {"fillfactor": 50}},
    )
    created_at = None  # type: ignore[assignment]

    consumer_group: Mapped[str] = mapped_column(String(255), primary_key=True)
    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_offset: Mapped[int] = mapped_column(BigInteger)
    cluster_id: Mapped[str | None] = mapped_column(String(255))
    anchor_offset: Mapped[int | None] = mapped_column(BigInteger)
    anchor_timestamp: Mapped[int | None] = mapped_column(BigInteger)
    """Milliseconds since 1970, as Kafka has it."""
    anchor_crc: Mapped[int | None] = mapped_column(BigInteger)
    topic_id: Mapped[str | None] = mapped_column(String(22))
    """The id of the topic that the position belongs to, as Kafka prints it; NULL if the position was stored without
    one.
    """
    read_from: Mapped[int | None] = mapped_column(BigInteger)
    """The group has read every record from here to `next_offset`. NULL while that is not known."""


class DeadLetter(Base):
    """A record that can never be applied as it is, kept whole.

    `key`, `value` and `headers` are the bytes received; `headers` is an array of (name, value) pairs. All three are
    NULL once the letter is blank: its aggregate was erased, or it was closed and its retention is over. Only a blank
    letter has NULL `headers`. `detail` has field paths and constraint names, never a value of the record.

    A correction is a whole record beside the received one, made by hand; a redrive applies it instead. There is a
    correction exactly if `corrected_headers` is not NULL.
    """

    __tablename__ = "dead_letters"
    __table_args__ = (
        CheckConstraint("stage IN ('decode', 'validate', 'write')", name="stage"),
        CheckConstraint("state IN ('parked', 'redriven', 'discarded')", name="state"),
        Index("ix_dead_letters_aggregate_id", "aggregate_id"),
        Index("ix_dead_letters_parked", "consumer_group", "reason", postgresql_where=text("state = 'parked'")),
        Index("ix_dead_letters_latest", "consumer_group", "last_attempt_at"),
        Index(
            "ix_dead_letters_closed",
            "consumer_group",
            "last_attempt_at",
            postgresql_where=text("state <> 'parked' AND headers IS NOT NULL"),
        ),
        Index(
            "ix_dead_letters_named_ids",
            "named_ids",
            postgresql_using="gin",
            postgresql_where=text("named_ids IS NOT NULL"),
        ),
        Index(
            "ix_dead_letters_unread",
            "consumer_group",
            postgresql_where=text("named_ids IS NULL AND headers IS NOT NULL"),
        ),
        Index(
            "ix_dead_letters_corrected",
            "corrected_aggregate_id",
            postgresql_where=text("corrected_aggregate_id IS NOT NULL"),
        ),
        Index(
            "ix_dead_letters_unrelayed",
            "consumer_group",
            "topic",
            "partition",
            "offset",
            postgresql_where=text("state = 'parked' AND relayed_at IS NULL"),
        ),
    )
    created_at = None  # type: ignore[assignment]
    updated_at = None  # type: ignore[assignment]

    consumer_group: Mapped[str] = mapped_column(String(255), primary_key=True)
    topic: Mapped[str] = mapped_column(String(249), primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    record_timestamp: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Milliseconds since 1970, as Kafka has it: not always a time that PostgreSQL could hold."""
    crc: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """CRC-32 of key, value and headers: a topic that is created again uses the same offsets again."""
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    value: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[list[list[bytes | None]] | None] = mapped_column(ARRAY(LargeBinary, dimensions=2))
    stage: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONType, server_default="{}")
    event_id: Mapped[str | None]
    event_type: Mapped[str | None]
    aggregate_id: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(server_default="1")
    state: Mapped[str] = mapped_column(String(20), server_default="parked")
    first_seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_attempt_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    named_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
    """All ids that stand anywhere in the record or in its correction: what the erasure of a person looks for. NULL in
    blank letters, and in those that an earlier release parked."""
    corrected_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    corrected_value: Mapped[bytes | None] = mapped_column(LargeBinary)
    corrected_headers: Mapped[list[list[bytes | None]] | None] = mapped_column(ARRAY(LargeBinary, dimensions=2))
    corrected_aggregate_id: Mapped[UUID | None]
    """The aggregate of the corrected event, which may be another than that of the received key."""
    redrives: Mapped[int] = mapped_column(server_default="0")
    """Redrives by an operator since the letter was parked or corrected. Too many are refused, to end a loop."""
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When it was redriven or discarded; NULL while parked, and for letters that the first release closed."""
    relayed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When the relay's topic acknowledged it."""
    audit: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    """What operators did with the letter, the oldest first: `action`, `at`, `by`, `because`."""
