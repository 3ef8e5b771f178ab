"""Which letters are still to be relayed, and what a relayed one looks like: Kafka Connect's headers, and ours.

Source: KIP-298, and org.apache.kafka.connect.runtime.errors.DeadLetterQueueReporter for the names and their meaning.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from .advice import sentence
from .queries import next_letters
from .selection import Selection
from .table import KEY_COLUMNS, TABLE, Header, Letter, LetterKey, received_record

LETTERS_AT_ONCE = 200

_STAGES = {"decode": "VALUE_CONVERTER", "validate": "TRANSFORMATION", "write": "TASK_PUT"}


class Message(NamedTuple):
    """The record that is sent for a letter. The names of `headers` are in UTF-8."""

    letter: LetterKey
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    own: int = 0
    """How many of `headers`, the first ones, are the record's own."""


async def unrelayed(connection: AsyncConnection, group: str) -> list[Letter]:
    """Some parked letters that the relay's topic did not acknowledge yet, by key. Blank letters are not relayed."""
    selection = Selection(unrelayed=True)
    return await next_letters(connection, group, selection, LETTERS_AT_ONCE)


async def mark_relayed(connection: AsyncConnection, group: str, keys: Sequence[LetterKey]) -> None:
    """Mark these letters as acknowledged by the topic."""
    locked = select(*KEY_COLUMNS).where(TABLE.c.consumer_group == group, tuple_(*KEY_COLUMNS).in_(keys))
    locked = locked.order_by(*KEY_COLUMNS).with_for_update(key_share=True)
    await connection.execute(locked, execution_options={"query_name": "dead_letters.relayed"})
    mark = update(TABLE).where(TABLE.c.consumer_group == group, tuple_(*KEY_COLUMNS).in_(keys))
    options = {"query_name": "dead_letters.relayed"}
    await connection.execute(mark.values(relayed_at=func.now()), execution_options=options)


def message_of(group: str, letter: Letter) -> Message:
    """The letter as it was received, with its own headers first and then those that say what is wrong with it."""
    received = received_record(letter.key, letter.row)
    own: list[Header] = [(_sendable(name), content) for name, content in received.headers]
    return Message(letter.key, received.key, received.value, [*own, *_added_headers(group, letter)], len(own))


def shorter_forms(message: Message) -> tuple[Message, Message]:
    """The same without its value, and without its own headers either: for a topic that takes no record of that size.

    The value is empty, not null, because a record without key and value cannot be sent. A header says what is missing.
    """
    size = 0 if message.value is None else len(message.value)
    omitted: Header = ("reelsync.value.omitted", str(size).encode())
    ours = message.headers[message.own :]
    without_value = message._replace(value=b"", headers=[*message.headers, omitted])
    headers_omitted: Header = ("reelsync.headers.omitted", str(message.own).encode())
    return without_value, without_value._replace(headers=[*ours, omitted, headers_omitted], own=0)


def _added_headers(group: str, letter: Letter) -> list[Header]:
    """The headers that describe the failure, without values of the record and without a stack trace."""
    row = letter.row
    headers = {
        "__connect.errors.topic": letter.key.topic,
        "__connect.errors.partition": str(letter.key.partition),
        "__connect.errors.offset": str(letter.key.offset),
        "__connect.errors.connector.name": group,
        "__connect.errors.task.id": "0",
        "__connect.errors.stage": _STAGES[row["stage"]],
        "__connect.errors.class.name": f"reelsync.{row['stage']}",
        "__connect.errors.exception.class.name": f"reelsync.{row['reason']}",
        "__connect.errors.exception.message": sentence(row["detail"]) or row["reason"],
        "reelsync.error.code": row["reason"],
        "reelsync.error.detail": orjson.dumps(row["detail"]).decode(),
        "reelsync.record.timestamp": str(letter.key.record_timestamp),
        "reelsync.letter.show": f"reelsync dlq show {letter.key}",
    }
    return [(name, value.encode(errors="replace")) for name, value in headers.items()]


def _sendable(name: str) -> str:
    """A header's name in UTF-8, which clients can send."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
