"""How to read a topic that Debezium fills, and the records in it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from ..data import Aggregate

Column = Literal[
    "id",
    "user_id",
    "created_at",
    "username",
    "email",
    "avatar_url",
    "is_active",
    "preferences",
    "last_login_at",
    "full_name",
    "company",
    "locale",
    "timezone",
    "bio",
    "title",
    "description",
    "avatar_id",
    "voice_id",
    "language",
    "resolution",
    "status",
    "progress",
    "error_code",
    "error_message",
    "failed_at",
    "started_at",
    "output_url",
    "thumbnail_url",
    "duration_seconds",
    "processing_time",
    "file_size",
    "completed_at",
    "deleted_at",
]
"""reelsync's names for the columns of a row. `rows` groups them into facets."""


_IN_SOURCE = ("source.lsn", "source.ts_ms")


class CapturedRecord(Protocol):
    """One Kafka record. `timestamp` is in milliseconds since 1970."""

    @property
    def topic(self) -> str: ...  # noqa: D102 - names of Kafka's own
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...  # noqa: D102


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RowChangeTopic(_Read):
    """A topic with the row changes of one table, in Debezium's envelope."""

    format: Literal["debezium"] = "debezium"
    aggregate: Literal["user", "video"]
    version: str
    """Where a change has its version: `source.lsn`, `source.ts_ms`, or a column that rises with every change of a row.
    """
    deletes: Literal["soft_delete", "erase"] = "soft_delete"
    """What deleting a row does: it sets `deleted_at` (soft_delete), or erases the aggregate for good, like a tombstone.
    """
    columns: dict[Column, str] = Field(default_factory=dict)
    """reelsync's column → the table's column, where the names differ."""
    unavailable_value: str = Field(default="__debezium_unavailable_value", min_length=1)
    """The placeholder for a long value that PostgreSQL did not log because it did not change: the connector's
    `unavailable.value.placeholder`. Source: Debezium's PostgreSQL connector, "Toasted values"."""

    @field_validator("version")
    @classmethod
    def _is_a_column_or_known(cls, version: str) -> str:
        if not version or (version.startswith("source.") and version not in _IN_SOURCE):
            raise ValueError("must be source.lsn, source.ts_ms, or the name of a column")
        return version

    def column_of_table(self, column: str) -> str:
        """The table's name for reelsync's `column`."""
        return cast("dict[str, str]", self.columns).get(column, column)

    @property
    def version_column(self) -> str | None:
        """The column of the table that holds the version; None where Debezium's `source` block has it."""
        return None if self.version in _IN_SOURCE else self.version


class OutboxTopic(_Read):
    """A topic that Debezium's outbox event router fills."""

    format: Literal["outbox"] = "outbox"
    aggregate: Aggregate
    type_header: str = "eventType"
    """The header with the event's type. The router must be configured to set it."""
    time_header: str = "time"
    """The header with the event's time; without one the record's timestamp is taken."""


def _form_of(entry: Any) -> str:
    if isinstance(entry, str):
        return "native"
    return str(entry.get("format") if isinstance(entry, dict) else getattr(entry, "format", None))


Topic = Annotated[
    Annotated[Aggregate, Tag("native")]
    | Annotated[RowChangeTopic, Tag("debezium")]
    | Annotated[OutboxTopic, Tag("outbox")],
    Discriminator(
        _form_of,
        custom_error_type="topic_format",
        custom_error_message='must be user, video, model_usage, or an object whose "format" is debezium or outbox',
    ),
]
"""How a topic is read: the name of an aggregate, for events of the contract, or how Debezium fills the topic."""
