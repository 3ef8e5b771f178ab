"""Columns that several tables share."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Computed, DateTime, event, func, inspect
from sqlalchemy.orm import Mapped, mapped_column

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Mapper

_TIMESTAMPTZ = DateTime(timezone=True)


class TimestampMixin:
    """`created_at` and `updated_at`.

    In rows that are merged from events, both are times of events. In rows written through the ORM, the listeners below
    set them, unless the writer did.
    """

    created_at: Mapped[datetime] = mapped_column(_TIMESTAMPTZ, server_default=func.now(), sort_order=900)
    updated_at: Mapped[datetime] = mapped_column(_TIMESTAMPTZ, server_default=func.now(), sort_order=901)


class SoftDeleteMixin:
    """`deleted_at`, and `is_deleted`, which the database derives from it."""

    deleted_at: Mapped[datetime | None] = mapped_column(_TIMESTAMPTZ, sort_order=800)
    is_deleted: Mapped[bool] = mapped_column(Computed("deleted_at IS NOT NULL", persisted=True), sort_order=801)

    def soft_delete(self, at: datetime | None = None) -> None:
        """Mark the row as deleted at `at`, now by default."""
        self.deleted_at = at or datetime.now(UTC)

    def restore(self) -> None:
        """Mark the row as not deleted."""
        self.deleted_at = None


@event.listens_for(TimestampMixin, "before_insert", propagate=True)
def _set_timestamps_of_new_row(_mapper: "Mapper[Any]", _connection: "Connection", target: TimestampMixin) -> None:
    now = datetime.now(UTC)
    for name in ("created_at", "updated_at"):
        if name in inspect(target).mapper.column_attrs and target.__dict__.get(name) is None:
            setattr(target, name, now)


@event.listens_for(TimestampMixin, "before_update", propagate=True)
def _set_timestamp_of_changed_row(_mapper: "Mapper[Any]", _connection: "Connection", target: TimestampMixin) -> None:
    state = inspect(target)
    if "updated_at" not in state.mapper.column_attrs or state.attrs["updated_at"].history.has_changes():
        return
    # A flush calls this for every dirty object, changed or not.
    if any(attribute.history.has_changes() for attribute in state.attrs if attribute.key in state.mapper.column_attrs):
        target.updated_at = datetime.now(UTC)
