"""A stored dead letter: its key, the record to apply, and the locks for working on letters."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import RowMapping, cast, func, literal_column, text, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.records import StoredRecord
from reelsync.models import DeadLetter

TABLE: Any = DeadLetter.__table__


KEY_NAMES = ("topic", "partition", "offset", "record_timestamp", "crc")


KEY_COLUMNS = tuple(TABLE.c[name] for name in KEY_NAMES)


KEY_TYPES = 'topic text, partition int, "offset" bigint, record_timestamp bigint, crc bigint'
"""The key's columns, for json_to_recordset."""


ROW_VERSION = cast(literal_column("dead_letters.xmin"), TEXT).label("row_version")
"""Changes with every change of the row. Source: PostgreSQL documentation, "System Columns"."""


READ_COLUMNS = (
    *KEY_COLUMNS,
    *(TABLE.c[name] for name in ("key", "value", "headers")),
    *(TABLE.c[name] for name in ("corrected_key", "corrected_value", "corrected_headers")),
    *(TABLE.c[name] for name in ("state", "stage", "reason", "detail", "event_id", "event_type", "aggregate_id")),
    *(TABLE.c[name] for name in ("attempts", "redrives", "first_seen_at", "last_attempt_at")),
    ROW_VERSION,
)
"""The columns that are needed to decode or send a letter."""


Header = tuple[str, bytes | None]


class LetterKey(NamedTuple):
    """The columns that identify a letter within its group."""

    topic: str
    partition: int
    offset: int
    record_timestamp: int
    crc: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Letter(NamedTuple):
    """A letter, and the record to apply: the corrected one, if it was corrected."""

    key: LetterKey
    row: RowMapping
    record: StoredRecord

    @property
    def is_blank(self) -> bool:
        """Whether its content was removed, so there is nothing to apply."""
        return self.row["headers"] is None

    @property
    def is_corrected(self) -> bool:
        """Whether it has a correction, which is applied instead."""
        return self.row["corrected_headers"] is not None


def letter_of(row: RowMapping) -> Letter:
    """The letter in a row with READ_COLUMNS."""
    key = LetterKey(*(row[name] for name in KEY_NAMES))
    return Letter(key, row, corrected_record(key, row) or received_record(key, row))


def received_record(key: LetterKey, row: RowMapping) -> StoredRecord:
    """The record as it was received."""
    return record_at(key, row["key"], row["value"], headers_of(row["headers"]))


def corrected_record(key: LetterKey, row: RowMapping) -> StoredRecord | None:
    """The record as it was corrected, at the place of the received one; None without a correction."""
    # A letter without payload is not applied, even if it has a correction: the first release erases only the payload.
    if row["corrected_headers"] is None or row["headers"] is None:
        return None
    return record_at(key, row["corrected_key"], row["corrected_value"], headers_of(row["corrected_headers"]))


def record_at(
    key: LetterKey, record_key: bytes | None, value: bytes | None, headers: tuple[Header, ...]
) -> StoredRecord:
    """A record with these contents, at the letter's place and of its time."""
    return StoredRecord(key.topic, key.partition, key.offset, key.record_timestamp, record_key, value, headers)


def headers_of(stored: list[list[bytes | None]] | None) -> tuple[Header, ...]:
    """Headers as records have them: names as text, where any byte may stand."""
    return tuple(((name or b"").decode(errors="surrogateescape"), content) for name, content in stored or ())


def stored_headers(headers: Sequence[Header]) -> list[list[bytes | None]]:
    """Headers as the table has them."""
    return [[name.encode(errors="surrogateescape"), content] for name, content in headers]


Work = Literal["operator", "redrive", "relay"]
# A row lock needs the right to UPDATE, so a role that may only read cannot take it, as it could take an advisory lock.
_TURN = text(
    """
    WITH free AS (SELECT FROM letter_locks
                   WHERE consumer_group = :consumer_group AND work = :work FOR NO KEY UPDATE SKIP LOCKED),
         made AS (INSERT INTO letter_locks (consumer_group, work) VALUES (:consumer_group, :work)
                      ON CONFLICT DO NOTHING RETURNING work)
    SELECT EXISTS (SELECT FROM free) OR EXISTS (SELECT FROM made)
    """
)


async def has_turn(connection: AsyncConnection, group: str, work: Work, query_name: str) -> bool:
    """Whether this transaction is the only one of the group's that does this work, until it ends. Waits for none."""
    parameters = {"consumer_group": group, "work": work}
    return bool(await connection.scalar(_TURN, parameters, execution_options={"query_name": query_name}))


async def take_turn(connection: AsyncConnection, group: str) -> None:
    """Wait until no other operator's transaction is under way. No consumer takes this lock, so none waits for it."""
    backoff = Backoff(0.01, 0.5)
    while not await has_turn(connection, group, "operator", "dead_letters.turn"):
        await backoff.wait()


class Entry(NamedTuple):
    """Who did something to a letter, and why. `by`: None: the role of the database session."""

    because: str | None
    by: str | None = None


def audited(action: str, entry: Entry) -> Any:
    """The audit with one more entry: `action`, `at`, `by`, `because`."""
    by = literal_column("session_user") if entry.by is None else entry.by
    made = func.jsonb_build_object("action", action, "at", func.now(), "by", by, "because", entry.because)
    return TABLE.c.audit.concat(type_coerce(made, JSONB))
