"""Searching the log, the rows and the dead letters for an event. Only the decoder reads the values of records."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.scan import scan_behind_gaps
from reelsync.consumer.kafka.survey import Bounds
from reelsync.consumer.offsets.check import OF_ANOTHER_LOG
from reelsync.consumer.offsets.store import all_positions
from reelsync.consumer.operations.obstacles import Obstacle, met_in, obstacles_of, open_transactions
from reelsync.consumer.operations.standing import judge
from reelsync.consumer.records import Partition, Record, Span, partitions_of, record_crc
from reelsync.consumer.transform.decode import Decode, Rejection
from reelsync.consumer.transform.erased_people import digest_of
from reelsync.events import ERASED_VERSION, aggregate_id, canonical_id
from reelsync.models import ModelUsage, User, UserProfile, Video
from reelsync.models.consumer_state import ErasedUser
from reelsync.models.upsert import table_of

from .outcome import UNKNOWN, Fate, Seen, fate_of

_SECONDS_FOR_TIMES = 10.0
_TABLES = tuple(table_of(model) for model in (User, UserProfile, Video, ModelUsage))
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")
"""Characters that JSON encoders do not escape."""
_ASSEMBLED = re.compile(r"[^:]+:[0-9]+:[0-9]+")
"""Ids that are put together while decoding, so no record contains them: Debezium for MySQL's file, position and row."""

_LETTERS = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, stage, reason, state, detail, event_id, event_type,
           aggregate_id, attempts, headers IS NULL AS is_blank, corrected_aggregate_id IS NOT NULL AS was_corrected
      FROM dead_letters
     WHERE consumer_group = :consumer_group
       AND (event_id = :event_id OR aggregate_id = :aggregate_id OR corrected_aggregate_id = :aggregate_id)
     ORDER BY topic, partition, "offset"
    """
)
_LETTERS_AT = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, stage, reason, state, detail, event_id, event_type,
           aggregate_id, attempts, headers IS NULL AS is_blank, corrected_aggregate_id IS NOT NULL AS was_corrected
      FROM dead_letters
     WHERE consumer_group = :consumer_group AND topic = :topic AND partition = :partition AND "offset" = ANY(:offsets)
    """
)


class Needle:
    """What to search for: the id of an event, of an aggregate or of a fact."""

    def __init__(self, wanted: str) -> None:
        self.event_id = wanted
        try:
            self.aggregate_id: str | None = canonical_id(wanted)
        except ValueError:
            self.aggregate_id = None
        is_verbatim = _PLAIN.issuperset(wanted) and not _ASSEMBLED.fullmatch(wanted)
        self._bytes = wanted.encode() if is_verbatim else None
        self._hex = self.aggregate_id.replace("-", "").encode() if self.aggregate_id else None

    def may_be_in(self, record: Record) -> bool:
        """Whether to decode the record at all. False only if its bytes cannot contain the id."""
        if self._bytes is None:
            return True
        parts = (record.key or b"", record.value or b"", *(content or b"" for _, content in record.headers))
        if any(self._bytes in part for part in parts):
            return True
        return self._hex is not None and any(self._hex in part.replace(b"-", b"").lower() for part in parts)

    def is_in(self, seen: Seen) -> bool:
        """Whether the decoded record matches."""
        verdict = seen.verdict
        if isinstance(verdict, Rejection):
            about = verdict.aggregate_id and str(verdict.aggregate_id)
            return verdict.event_id == self.event_id or (about is not None and about == self.aggregate_id)
        return verdict["id"] == self.event_id or aggregate_id(verdict) == self.aggregate_id


class SearchedRange(NamedTuple):
    """The offsets of one partition that were read; `written` is the timestamp of the first record, in milliseconds."""

    partition: Partition
    start: int
    end: int
    written: int | None


@dataclass
class Traced:
    """What the search found."""

    looked: list[SearchedRange] = field(default_factory=list)
    found: list[tuple[Seen, Fate]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Rows of its aggregates: table, id, versions by column, and whether each is erased or a placeholder."""
    letters: list[RowMapping] = field(default_factory=list)
    """Matching dead letters whose records were not in the part of the log that was read."""
    obstacles: list[Obstacle] = field(default_factory=list)
    """Partitions that could not be read whole, or whose records cannot be compared with the group's position."""


@dataclass
class Trace:
    """One search."""

    log: KafkaLog
    engine: AsyncEngine
    decode: Decode
    group: str
    topics: Mapping[str, int]
    """Topics to read, with their numbers of partitions."""
    needle: Needle
    since: datetime | None = None
    cluster_id: str | None = None
    expect: Callable[[int], object] = lambda _records: None
    progress: Callable[[int], object] = lambda _records: None

    async def run(self) -> Traced:
        """Search.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        async with self.engine.connect() as connection:
            stored = await all_positions(connection, self.group)
        partitions = partitions_of(self.topics)
        bounds, halts = await judge(self.log, self.cluster_id, partitions, stored)
        stretches = await self._stretches(bounds)
        starts = {partition: span.start for partition, span in stretches.items() if span.start < span.next}
        written = await self.log.timestamps(starts, _SECONDS_FOR_TIMES)
        looked = [SearchedRange(p, span.start, span.next, written.get(p)) for p, span in sorted(stretches.items())]
        obstacles = obstacles_of(halts) + open_transactions(bounds)
        seen = await self._search_log(stretches, {p: at.next_offset for p, at in stored.items()}, obstacles)
        async with self.engine.connect() as connection:
            return await self._explain(connection, Traced(looked, obstacles=obstacles), seen)

    async def _stretches(self, bounds: Mapping[Partition, Bounds]) -> dict[Partition, Span]:
        starts: Mapping[Partition, int | None] = {partition: log.begin for partition, log in bounds.items()}
        if self.since is not None:
            starts = await self.log.offsets_at(bounds, round(self.since.timestamp() * 1000))
        ends = {partition: log.readable for partition, log in bounds.items()}
        return {partition: Span(min(_or(starts[partition], end), end), end) for partition, end in ends.items()}

    async def _search_log(
        self, stretches: Mapping[Partition, Span], positions: Mapping[Partition, int], obstacles: list[Obstacle]
    ) -> list[Seen]:
        self.expect(sum(span.next - span.start for span in stretches.values()))
        seen: list[Seen] = []
        async for scanned in scan_behind_gaps(self.log, stretches):
            obstacles += met_in(scanned.gaps, positions)
            candidates = (record for record in scanned.records if self.needle.may_be_in(record))
            met = (Seen(record, self.decode(record)) for record in candidates)
            seen += [one for one in met if self.needle.is_in(one)]
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return sorted(seen, key=lambda one: (one.record.topic, one.record.partition, one.record.offset))

    async def _explain(self, connection: AsyncConnection, result: Traced, seen: list[Seen]) -> Traced:
        """Explain each record. Positions are read before the rows, so no row is older than its position."""
        stored = await all_positions(connection, self.group)
        letters = {_key(letter): letter for letter in await self._letters(connection, seen)}
        versions = await _read_versions(connection, _ids(seen, letters.values(), self.needle))
        erased = await _read_erased(connection, seen)
        misfits = {one.partition for one in result.obstacles if one.halt.reason in OF_ANOTHER_LOG}
        for one in seen:
            record = one.record
            key = (record.topic, record.partition, record.offset, record.timestamp, record_crc(record))
            letter = letters.pop(key, None)
            place = Partition(record.topic, record.partition)
            at = stored.get(place)
            position = UNKNOWN if place in misfits else at and at.next_offset
            fate = fate_of(one, position, dict(letter) if letter else None, versions, seen, erased)
            result.found.append((one, fate))
        result.letters = list(letters.values())
        result.rows = [_row_document(table, row_id, held) for (table, row_id), held in sorted(versions.items())]
        return result

    async def _letters(self, connection: AsyncConnection, seen: list[Seen]) -> list[RowMapping]:
        options = {"query_name": "trace.letters"}
        about = UUID(self.needle.aggregate_id) if self.needle.aggregate_id else None
        asked = {"consumer_group": self.group, "event_id": self.needle.event_id, "aggregate_id": about}
        found = list((await connection.execute(_LETTERS, asked, execution_options=options)).mappings())
        for partition in sorted({Partition(one.record.topic, one.record.partition) for one in seen}):
            offsets = [one.record.offset for one in seen if (one.record.topic, one.record.partition) == partition]
            place = {"topic": partition.topic, "partition": partition.number, "offsets": offsets}
            there = {"consumer_group": self.group, **place}
            more = await connection.execute(_LETTERS_AT, there, execution_options=options)
            found += more.mappings()
        return found


def _or(offset: int | None, end: int) -> int:
    return end if offset is None else offset


def _key(letter: RowMapping) -> tuple[object, ...]:
    return tuple(letter[name] for name in ("topic", "partition", "offset", "record_timestamp", "crc"))


def _ids(seen: Iterable[Seen], letters: Iterable[RowMapping], needle: Needle) -> set[str]:
    ids = {aggregate_id(one.verdict) for one in seen if not isinstance(one.verdict, Rejection)}
    ids |= {str(letter["aggregate_id"]) for letter in letters if letter["aggregate_id"]}
    return ids | ({needle.aggregate_id} if needle.aggregate_id else set())


async def _read_versions(connection: AsyncConnection, ids: Collection[str]) -> dict[tuple[str, str], dict[str, int]]:
    """The version columns, and no others, of the rows with these ids."""
    versions: dict[tuple[str, str], dict[str, int]] = {}
    for table in _TABLES:
        (key,) = table.primary_key
        columns = [column for column in table.columns if column.name == "version" or column.name.endswith("_version")]
        query = select(key.label("key"), *columns).where(key.in_([UUID(row_id) for row_id in ids]))
        found = await connection.execute(query, execution_options={"query_name": "trace.rows"})
        for row in found.mappings():
            held = dict(row)
            versions[table.name, str(held.pop("key"))] = held
    return versions


async def _read_erased(connection: AsyncConnection, seen: Iterable[Seen]) -> set[str]:
    """Which of the users that the records name are erased as people."""
    verdicts = [one.verdict["data"] for one in seen if not isinstance(one.verdict, Rejection)]
    digests = {UUID(digest_of(data["user_id"])): str(data["user_id"]) for data in verdicts if data.get("user_id")}
    query = select(ErasedUser.digest).where(ErasedUser.digest.in_(digests))
    found = await connection.scalars(query, execution_options={"query_name": "trace.rows"})
    return {digests[digest] for digest in found}


def _row_document(table: str, row_id: str, held: Mapping[str, int]) -> dict[str, Any]:
    version = held.get("version", held.get("profile_version"))
    return {
        "table": table,
        "id": row_id,
        "erased": version is not None and version >= ERASED_VERSION,
        "placeholder": version == 0,
        "versions": dict(held),
    }
