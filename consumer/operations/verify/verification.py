"""Comparing every row with an independent calculation from the log, up to the positions of the group.

The records below the stored positions are read again, by a reader that belongs to no group, and their events are kept
in temporary files, in slices by the ids of their rows. Rows and positions are read in one snapshot, so consumers may go
on meanwhile. Memory holds one slice at a time. The log is read before the snapshot begins; while the snapshot is open,
only the records that came after that reading are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.offsets.store import Stored, all_positions
from reelsync.consumer.records import Partition, Record, Span, partitions_of
from reelsync.consumer.transform.decode import Decode, Rejection

from .applied_events import AppliedEvents, read_letters
from .changes import ERASED, Row
from .comparison import Difference, certainly_wrong, compare_row, is_accounted_for
from .reading import Reading
from .reference import TABLES, Oracle
from .report import Finding, Kind, Report
from .rows import read_rows
from .spool import EventSpool

__all__ = ["Finding", "Kind", "Report", "Verification"]


_ERASED = text("SELECT digest FROM erased_users")


class Unlogged:
    """Rows that have more than the events read so far explain, and an oracle that knows those events of these rows."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._ids: set[str] = set()
        self.oracle = Oracle(self._ids.__contains__)

    def add(self, findings: Iterable[Finding], oracle: Oracle) -> None:
        """Add the findings of one part."""
        self.findings += findings
        ids = {_aggregate(finding.row_id) for finding in findings}
        self._ids |= ids
        for table, by_id in oracle.changes.items():
            self.oracle.changes[table].update({row_id: list(by_id[row_id]) for row_id in ids & by_id.keys()})
        self.oracle.erased, self.oracle.digests = oracle.erased, oracle.digests


class Part(NamedTuple):
    """What is known of the rows of one part."""

    number: int
    oracle: Oracle
    uncertain: set[str]
    """Ids of rows that have events in a partition that was not read whole: more of their events may be there."""


@dataclass
class Verification:
    """One comparison of the rows with the log.

    Args:
        engine: With long time limits for statements and idle transactions, because a snapshot stays open.
        tables: Which tables to compare.
        slices: In how many parts the rows are compared, one after another: 1 to 256. More parts need less memory.
    """

    reading: Reading
    engine: AsyncEngine
    decode: Decode
    topics: Mapping[str, int]
    """Topics to read, with their numbers of partitions."""
    tables: Sequence[str] = TABLES
    slices: int = 1

    @property
    def report(self) -> Report:
        """What was found so far."""
        return self.reading.report

    async def stretches(self) -> dict[Partition, Span]:
        """What is to be read.

        Raises:
            ReelsyncError: the group has consumed nothing.
            KafkaFailedError: the brokers did not answer.
        """
        async with self.engine.connect() as connection:
            stored = await self._stored(connection)
        return await self.reading.stretches(stored)

    async def run(self, stretches: Mapping[Partition, Span]) -> Report:
        """Read these stretches and what follows them up to the group's positions, and compare all slices.

        Raises:
            KafkaFailedError: the brokers did not answer.
        """
        with EventSpool(self.slices) as spool:
            await self._compare(spool, stretches)
        return self.report

    async def _compare(self, spool: EventSpool, stretches: Mapping[Partition, Span]) -> None:
        group = self.reading.group
        async with self.engine.connect() as connection:
            letters = await read_letters(connection, group)
        applied = AppliedEvents(self.decode, letters, spool)
        seen = await self.reading.read(stretches, applied.add)
        unlogged = Unlogged()
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            applied.letters = await read_letters(connection, group)
            stored = await self._stored(connection)
            erased = await connection.scalars(_ERASED, execution_options={"query_name": "verify"})
            applied.erased_people = frozenset(erased)
            there = stretches.keys() & stored.keys() - self.reading.out_of_reach
            tail = {place: Span(stretches[place].next, stored[place].next_offset) for place in there}
            tail = {place: span for place, span in tail.items() if span.start < span.next}
            seen.update(await self.reading.read(tail, applied.add))
            applied.add_redriven()
            for part in range(self.slices):
                await self._compare_part(connection, spool, applied, part, unlogged)
        self.report.records = seen.total()
        self.report.without_position = sorted(set(partitions_of(self.topics)) - stored.keys())
        whole = {place: Span(stretches[place].start, span.next) for place, span in tail.items()}
        self._note_gaps({**stretches, **whole}, seen)
        for record in applied.without_letter:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            self.report.add(Finding("no_letter", "dead_letters", place, (), {}, {}))
        await self._separate_ahead_from_unlogged(applied, stored, unlogged)

    async def _compare_part(
        self, connection: AsyncConnection, spool: EventSpool, applied: AppliedEvents, part: int, unlogged: Unlogged
    ) -> None:
        oracle = Oracle(spool.has(part))
        oracle.digests = applied.erased_people
        uncertain: set[str] = set()
        unread = {obstacle.partition for obstacle in self.report.obstacles}
        for events, referenced in spool.chunks(part):
            for event in events:
                oracle.add(event.type, event.time, event.data)
                if unread and (event.topic, event.partition) in unread:
                    uncertain.add(event.aggregate_id)
            for table, ids in referenced.items():
                oracle.refer(table, ids)
        unlogged.add(await self._compare_rows(connection, Part(part, oracle, uncertain), applied), oracle)

    async def _stored(self, connection: AsyncConnection) -> dict[Partition, Stored]:
        stored = await all_positions(connection, self.reading.group)
        return {place: at for place, at in stored.items() if place.number < self.topics.get(place.topic, 0)}

    async def _compare_rows(self, connection: AsyncConnection, part: Part, applied: AppliedEvents) -> list[Finding]:
        unlogged: list[Finding] = []
        erased: set[str] = set()
        for table in self.tables:
            missing = part.oracle.ids(table)
            async for row_id, held in read_rows(connection, table, self.slices, part.number):
                missing.discard(row_id)
                if table == "videos" and held["version"] >= ERASED:
                    erased.add(row_id)
                self.report.rows[table] += 1
                difference = compare_row(part.oracle, table, row_id, held)
                if difference != Difference((), ()):
                    unlogged += self._record_difference(part, applied, table, row_id, held, difference)
            # What is erased in the database has no states, also if the log erases it later.
            for row_id in sorted(one for one in missing if _aggregate(one) not in erased):
                self.report.add(Finding("missing", table, row_id, (), part.oracle.row(table, row_id) or {}, {}))
        return unlogged

    def _record_difference(  # noqa: PLR0913, PLR0917 - all that belongs to one row
        self, part: Part, applied: AppliedEvents, table: str, row_id: str, held: Row, difference: Difference
    ) -> list[Finding]:
        """Report how a row differs. A difference that later records may explain is returned instead."""
        expected = part.oracle.row(table, row_id) or {}
        is_corrected = UUID(_aggregate(row_id)) in applied.corrected
        is_uncertain = _aggregate(row_id) in part.uncertain
        wrong = difference.wrong
        if is_corrected or is_uncertain:
            wrong = certainly_wrong(table, expected, held, wrong)
        if table == "users" and UUID(row_id) in applied.waiting_for_names:
            released = {name for name in ("username", "email") if held[name] is None}
            self.report.waiting_for_names += 1
            wrong = tuple(name for name in wrong if name not in released)
        if wrong:
            self.report.add(Finding("differs", table, row_id, wrong, expected, held))
        elif is_corrected:
            self.report.corrected += 1
        elif difference.unlogged:
            return [Finding("unlogged", table, row_id, difference.unlogged, expected, held)]
        elif is_uncertain:
            self.report.uncertain += 1
        return []

    async def _separate_ahead_from_unlogged(
        self, applied: AppliedEvents, stored: Mapping[Partition, Stored], unlogged: Unlogged
    ) -> None:
        """Look for the explanation of unlogged rows in dead letters, and in the log above the group's position."""
        if not unlogged.findings:
            return
        beyond = unlogged.oracle
        for listed in applied.unapplied():
            beyond.add(listed["type"], listed["time"], listed["data"])

        def take(record: Record) -> None:
            event = self.decode(record)
            if not isinstance(event, Rejection):
                beyond.add(event["type"], event["time"], event["data"])

        await self.reading.read_above(stored, take)
        for finding in unlogged.findings:
            if is_accounted_for(beyond, finding.table, finding.row_id, finding.held, finding.columns):
                self.report.ahead += 1
            else:
                self.report.add(finding)

    def _note_gaps(self, stretches: Mapping[Partition, Span], seen: Mapping[Partition, int]) -> None:
        unread = {obstacle.partition for obstacle in self.report.obstacles}
        for place, span in sorted(stretches.items()):
            gaps = span.next - span.start - seen.get(place, 0)
            if span.start:
                self.report.incomplete[place] = f"begins at {span.start}"
            elif gaps > 0 and place not in unread:
                self.report.incomplete[place] = f"{gaps} offsets without a record (compaction, transactions)"


def _aggregate(row_id: str) -> str:
    """The id without the version that the id of a state has."""
    return row_id.partition("/")[0]
