"""The service's own tables: its videos, and the outbox."""

from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from reelsync.events.publishing import OutgoingRecord


class Base(DeclarativeBase):
    """The service's schema."""


class Video(Base):
    """A video as this service knows it. `version` rises with every change, in the transaction that makes the change."""

    __tablename__ = "videos"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None]
    version: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[str | None]
    """Where the latest event that was sent about it is in the log: `topic/partition/offset`."""


class Outbox(Base):
    """A record that is to be sent: written with the change that it tells of, removed once brokers have it.

    The finished bytes, not the event: so a record that is sent again is the same, id and time and trace included.
    """

    __tablename__ = "outbox"

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    topic: Mapped[str]
    key: Mapped[bytes]
    value: Mapped[bytes | None]
    headers: Mapped[list[list[str]]] = mapped_column(JSONB)
    event_id: Mapped[str]
    event_type: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    @classmethod
    def of(cls, record: OutgoingRecord) -> Self:
        """The row that keeps `record`."""
        headers = [[name, content.decode()] for name, content in record.headers]
        return cls(
            topic=record.topic,
            key=record.key,
            value=record.value,
            headers=headers,
            event_id=record.id,
            event_type=record.type,
        )

    def record(self) -> OutgoingRecord:
        """The record that the row keeps, byte for byte."""
        headers = tuple((name, content.encode()) for name, content in self.headers)
        return OutgoingRecord(self.topic, self.key, self.value, headers, self.event_id, self.event_type)
