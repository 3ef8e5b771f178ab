"""Corrections: records made by hand, stored beside the received ones, which a redrive applies instead.

All lines of a file are checked before anything is stored. They are stored in one transaction, or not at all.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe
from reelsync.consumer.records import StoredRecord
from reelsync.consumer.sink.erasure import ErasedPeople
from reelsync.consumer.sink.parking import blank_erased, forget_people, lock
from reelsync.consumer.transform.decode import Decode, Rejection
from reelsync.consumer.transform.erased_people import named_ids
from reelsync.events import aggregate_id

from .advice import sentence
from .jsonl import Edited, LineError, edited_line
from .outcomes import ChangedError
from .table import (
    KEY_COLUMNS,
    KEY_NAMES,
    READ_COLUMNS,
    ROW_VERSION,
    TABLE,
    Entry,
    Letter,
    LetterKey,
    audited,
    letter_of,
    received_record,
    record_at,
    stored_headers,
    take_turn,
)

_ASKED_AT_ONCE = 500
_ATTEMPTS = 20

T = TypeVar("T")


@dataclass
class Corrections:
    """The result of a file: letters corrected, corrections withdrawn, lines that change nothing, and problems.

    A problem has the number of a line, the letter if the line names one, and what is wrong. It never has a value.
    """

    corrected: int = 0
    withdrawn: int = 0
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)


class _Change(NamedTuple):
    key: LetterKey
    row_version: str
    record: StoredRecord | None
    """None: the received record is to be applied again."""
    aggregate: UUID | None


async def correct(  # noqa: PLR0913 - a flag more
    engine: AsyncEngine, group: str, lines: Iterable[bytes], decode: Decode, entry: Entry, *, dry_run: bool = False
) -> Corrections:
    """Store what the lines change, if none of them has a problem. Doing it again changes nothing.

    A line with the received record withdraws the correction. A corrected letter may be redriven as often as a new one.
    Nothing is locked while lines are checked, because a consumer that erases or parks would wait. Letters that changed
    meanwhile are read again.

    Raises:
        ReelsyncError: the letters were changed by others again and again.
        Exception: the database cannot be used; nothing was stored.
    """
    problems: list[str] = []
    wanted = _parsed(group, lines, problems)
    backoff = Backoff()
    while True:
        try:
            return await _correct(engine, group, wanted, decode, entry, Corrections(problems=[*problems]), dry_run)
        except Exception as error:
            if not isinstance(error, ChangedError) and classify(error) is not Verdict.AGAIN:
                raise
            if backoff.attempts >= _ATTEMPTS:
                message = (
                    f"the letters could not be corrected in {_ATTEMPTS} attempts ({describe(error)}), so none "
                    "was: see in pg_stat_activity what locks them, and import the file again"
                )
                raise ReelsyncError(message) from error
        await backoff.wait()


async def _correct(  # noqa: PLR0913, PLR0917 - what `correct` has
    engine: AsyncEngine,
    group: str,
    wanted: Sequence[tuple[int, Edited]],
    decode: Decode,
    entry: Entry,
    done: Corrections,
    dry_run: bool,  # noqa: FBT001 - of a function of this file
) -> Corrections:
    async with engine.connect() as connection:
        await take_turn(connection, group)
        changes: list[_Change] = []
        for some in _some_at_once(wanted):
            letters = await _letters(connection, group, [edited.key for _, edited in some])
            for number, edited in some:
                try:
                    change = _change(letters.get(edited.key), edited, decode)
                except LineError as error:
                    done.problems.append(f"line {number}, {edited.key}: {error}")
                    continue
                if change:
                    changes.append(change)
                else:
                    done.unchanged += 1
        done.withdrawn = sum(change.record is None for change in changes)
        done.corrected = len(changes) - done.withdrawn
        if not done.problems and not dry_run and changes:
            await _store(connection, group, changes, entry)
            await connection.commit()
    return done


def _parsed(group: str, lines: Iterable[bytes], problems: list[str]) -> list[tuple[int, Edited]]:
    parsed: dict[LetterKey, tuple[int, Edited]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            edited = edited_line(group, line)
        except LineError as error:
            problems.append(f"line {number}: {error}")
            continue
        first, _ = parsed.setdefault(edited.key, (number, edited))
        if first != number:
            problems.append(f"line {number}, {edited.key}: is the letter of line {first} again")
    return list(parsed.values())


def _some_at_once(many: Sequence[T]) -> Iterator[Sequence[T]]:
    return (many[first : first + _ASKED_AT_ONCE] for first in range(0, len(many), _ASKED_AT_ONCE))


async def _letters(connection: AsyncConnection, group: str, keys: Sequence[LetterKey]) -> dict[LetterKey, Letter]:
    query = select(*READ_COLUMNS).where(TABLE.c.consumer_group == group, tuple_(*KEY_COLUMNS).in_(keys))
    rows = await connection.execute(query, execution_options={"query_name": "dead_letters.next"})
    return {letter.key: letter for letter in map(letter_of, rows.mappings())}


async def _lock_versions(
    connection: AsyncConnection, group: str, keys: Sequence[LetterKey]
) -> AsyncIterator[tuple[LetterKey, str]]:
    """Lock the letters in the order of their keys, and return the version of each."""
    for some in _some_at_once(keys):
        query = select(*KEY_COLUMNS, ROW_VERSION).where(TABLE.c.consumer_group == group, tuple_(*KEY_COLUMNS).in_(some))
        query = query.order_by(*KEY_COLUMNS).with_for_update(key_share=True)
        for *key, version in await connection.execute(query, execution_options={"query_name": "dead_letters.next"}):
            yield LetterKey(*key), version


def _change(letter: Letter | None, edited: Edited, decode: Decode) -> _Change | None:
    """What to store for a line; None if it is stored already.

    Raises:
        LineError: the letter cannot be corrected, or not in this way.
    """
    if letter is None:
        raise LineError("there is no such dead letter")
    if letter.is_blank:
        raise LineError("is blank, because its aggregate was erased or its retention is over: nothing can be corrected")
    wanted = record_at(edited.key, edited.record_key, edited.value, edited.headers)
    if wanted == letter.record:
        return None
    if letter.row["state"] != "parked":
        raise LineError(f"is {letter.row['state']}, and only parked letters are corrected: see `reelsync dlq restore`")
    if wanted == received_record(letter.key, letter.row):
        return _Change(letter.key, letter.row["row_version"], None, None)
    if wanted.value is None and letter.row["value"] is not None:
        raise LineError("value: null would erase the aggregate, and only its publisher may do that, by a tombstone")
    event = decode(wanted)
    if isinstance(event, Rejection):
        raise LineError(f"is still a dead letter ({event.reason}): {sentence(event.detail)}")
    return _Change(letter.key, letter.row["row_version"], wanted, UUID(aggregate_id(event)))


async def _store(connection: AsyncConnection, group: str, changes: Sequence[_Change], entry: Entry) -> None:
    """Store the changes. Locks are taken in the order of a batch that erases: first the erasure lock, then letters.

    Raises:
        ChangedError: a letter was changed since it was read.
    """
    named = [named_ids(change.record) if change.record else set() for change in changes]
    gone = await ErasedPeople().among(connection, {one for ids in named for one in ids})
    await lock(connection, alone=False)
    keys = sorted(change.key for change in changes)
    held = {key: version async for key, version in _lock_versions(connection, group, keys)}
    if any(held.get(change.key) != change.row_version for change in changes):
        raise ChangedError
    for action, some in (
        ("corrected", [change for change in changes if change.record]),
        ("withdrawn", [change for change in changes if not change.record]),
    ):
        if some:
            options = {"query_name": "dead_letters.correct"}
            await connection.execute(
                _store_statement(action, entry), [_row(group, change) for change in some], execution_options=options
            )
    await forget_people(connection, gone)
    await blank_erased(connection, {change.aggregate for change in changes} - {None})


def _store_statement(action: str, entry: Entry) -> Any:
    key = [TABLE.c[name] == bindparam(f"key_{name}", type_=TABLE.c[name].type) for name in KEY_NAMES]
    values: dict[str, Any] = {name: bindparam(f"new_{name}", type_=TABLE.c[name].type) for name in _CORRECTED}
    change = update(TABLE).where(TABLE.c.consumer_group == bindparam("group"), *key)
    values["named_ids"] = TABLE.c.named_ids.op("||")(bindparam("more_named_ids", type_=TABLE.c.named_ids.type))
    return change.values(**values, redrives=0, audit=audited(action, entry))


_CORRECTED = ("corrected_key", "corrected_value", "corrected_headers", "corrected_aggregate_id")


def _row(group: str, change: _Change) -> dict[str, Any]:
    record = change.record
    contents = (record.key, record.value, stored_headers(record.headers), change.aggregate) if record else (None,) * 4
    row = {f"new_{name}": content for name, content in zip(_CORRECTED, contents, strict=True)}
    more = {"more_named_ids": sorted(map(UUID, named_ids(record))) if record else []}
    return row | more | {f"key_{name}": part for name, part in change.key._asdict().items()} | {"group": group}
