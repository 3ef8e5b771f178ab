"""Comparing every row with an independent calculation from the log, up to the positions of the group.

The records below the stored positions are read again, by a reader that belongs to no group, and their events are kept
in temporary files, in slices by the ids of their rows. Rows and positions are read in one snapshot, so consumers may go
on meanwhile. Memory holds one slice at a time. The log is read before the snapshot begins; while the snapshot is open,
only the records that came after that reading are read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.store import list_positions
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.records import Partition, Span, partitions_of
from reelsync.consumer.transform.decode import Decode, Rejection

from .applied_events import AppliedEvents, read_letters
from .changes import ERASED, Row
from .comparison import Difference, certainly_wrong, compare_row, is_accounted_for
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


@dataclass
class Verification:
    """One comparison of the rows with the log.

    Args:
        engine: With long time limits for statements and idle transactions, because a snapshot stays open.
        tables: Which tables to compare.
        slices: In how many parts the rows are compared, one after another: 1 to 256. More parts need less memory.
        progress: Called with the number of records that were read since the last call.
    """

    log: KafkaLog | ArchivedLog
    engine: AsyncEngine
    decode: Decode
    group: str
    topics: Mapping[str, int]
    """Topics to read, with their numbers of partitions."""
    tables: Sequence[str] = TABLES
    slices: int = 1
    progress: Callable[[int], object] = lambda _records: None
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        """Compare all slices.

        Raises:
            ReelsyncError: the group has consumed nothing.
            KafkaFailedError: the brokers did not answer.
            UnavailableError: the log cannot be read any further.
        """
        with EventSpool(self.slices) as spool:
            await self._compare(spool)
        return self.report

    async def stretches(self) -> dict[Partition, Span]:
        """The offsets of each partition that are still in the log and below the group's position.

        Raises:
            ReelsyncError: the group has no position: an empty comparison would look like a success.
        """
        async with self.engine.connect() as connection:
            positions = await self._positions(connection)
        if not positions:
            raise ReelsyncError(
                f"group {self.group} has no positions: it has consumed nothing yet, or REELSYNC_KAFKA__GROUP_ID "
                "names another group"
            )
        ranges = await self.log.ranges(positions)
        return {place: Span(begin, max(begin, positions[place])) for place, (begin, _) in ranges.items()}

    async def _compare(self, spool: EventSpool) -> None:
        stretches = await self.stretches()
        async with self.engine.connect() as connection:
            letters = await read_letters(connection, self.group)
        applied = AppliedEvents(self.decode, letters, spool)
        seen = await self._read(applied, stretches)
        unlogged = Unlogged()
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            applied.letters = await read_letters(connection, self.group)
            positions = await self._positions(connection)
            erased = await connection.scalars(_ERASED, execution_options={"query_name": "verify"})
            applied.erased_people = frozenset(erased)
            tail = {place: Span(span.next, positions.get(place, 0)) for place, span in stretches.items()}
            tail = {place: span for place, span in tail.items() if span.start < span.next}
            seen.update(await self._read(applied, tail))
            applied.add_redriven()
            for part in range(self.slices):
                await self._compare_part(connection, spool, applied, part, unlogged)
        self.report.records = seen.total()
        self.report.without_position = sorted(set(partitions_of(self.topics)) - positions.keys())
        self._note_gaps(stretches | {p: Span(stretches[p].start, s.next) for p, s in tail.items()}, seen)
        for record in applied.without_letter:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            self.report.add(Finding("no_letter", "dead_letters", place, (), {}, {}))
        await self._separate_ahead_from_unlogged(applied, positions, unlogged)

    async def _compare_part(
        self, connection: AsyncConnection, spool: EventSpool, applied: AppliedEvents, part: int, unlogged: Unlogged
    ) -> None:
        oracle = Oracle(spool.has(part))
        oracle.digests = applied.erased_people
        for events, referenced in spool.chunks(part):
            for event in events:
                oracle.add(*event)
            for table, ids in referenced.items():
                oracle.refer(table, ids)
        unlogged.add(await self._compare_rows(connection, oracle, applied, part), oracle)

    async def _positions(self, connection: AsyncConnection) -> dict[Partition, int]:
        rows = await list_positions(connection, self.group)
        stored = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        return {place: at for place, at in stored.items() if place.number < self.topics.get(place.topic, 0)}

    async def _read(self, applied: AppliedEvents, stretches: Mapping[Partition, Span]) -> Counter[Partition]:
        seen: Counter[Partition] = Counter()
        async for scanned in self.log.scan(stretches):
            for record in scanned.records:
                applied.add(record)
                seen[Partition(record.topic, record.partition)] += 1
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return seen

    async def _compare_rows(
        self, connection: AsyncConnection, oracle: Oracle, applied: AppliedEvents, number: int
    ) -> list[Finding]:
        unlogged: list[Finding] = []
        erased: set[str] = set()
        for table in self.tables:
            missing = oracle.ids(table)
            async for row_id, held in read_rows(connection, table, self.slices, number):
                missing.discard(row_id)
                if table == "videos" and held["version"] >= ERASED:
                    erased.add(row_id)
                self.report.rows[table] += 1
                difference = compare_row(oracle, table, row_id, held)
                if difference != Difference((), ()):
                    unlogged += self._record_difference(oracle, applied, table, row_id, held, difference)
            # What is erased in the database has no states, also if the log erases it later.
            for row_id in sorted(one for one in missing if _aggregate(one) not in erased):
                self.report.add(Finding("missing", table, row_id, (), oracle.row(table, row_id) or {}, {}))
        return unlogged

    def _record_difference(  # noqa: PLR0913, PLR0917 - all that belongs to one row
        self, oracle: Oracle, applied: AppliedEvents, table: str, row_id: str, held: Row, difference: Difference
    ) -> list[Finding]:
        """Report how a row differs. A difference that later records may explain is returned instead."""
        expected = oracle.row(table, row_id) or {}
        is_corrected = UUID(_aggregate(row_id)) in applied.corrected
        wrong = certainly_wrong(table, expected, held, difference.wrong) if is_corrected else difference.wrong
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
        return []

    async def _separate_ahead_from_unlogged(
        self, applied: AppliedEvents, positions: Mapping[Partition, int], unlogged: Unlogged
    ) -> None:
        """Look for the explanation of unlogged rows in dead letters, and in the log above the group's position."""
        if not unlogged.findings:
            return
        beyond = unlogged.oracle
        for listed in applied.unapplied():
            beyond.add(listed["type"], listed["time"], listed["data"])
        ends = await self.log.readable_ends(positions)
        ranges = await self.log.ranges(positions)
        rest = {p: Span(max(positions[p], ranges[p][0]), ends[p]) for p in positions if positions[p] < ends[p]}
        async for scanned in self.log.scan(rest):
            for record in scanned.records:
                event = self.decode(record)
                if not isinstance(event, Rejection):
                    beyond.add(event["type"], event["time"], event["data"])
        for finding in unlogged.findings:
            if is_accounted_for(beyond, finding.table, finding.row_id, finding.held, finding.columns):
                self.report.ahead += 1
            else:
                self.report.add(finding)

    def _note_gaps(self, stretches: Mapping[Partition, Span], seen: Mapping[Partition, int]) -> None:
        for place, span in sorted(stretches.items()):
            gaps = span.next - span.start - seen.get(place, 0)
            if span.start:
                self.report.incomplete[place] = f"begins at {span.start}"
            elif gaps > 0:
                self.report.incomplete[place] = f"{gaps} offsets without a record (compaction, transactions)"


def _aggregate(row_id: str) -> str:
    """The id without the version that the id of a state has."""
    return row_id.partition("/")[0]
