"""Comparing every row with an independent fold of the log, as far as the group has come.

The records below the stored positions are read again, by a reader that belongs to no group, and folded by the oracle.
The rows are read in the snapshot that the positions are from, so consumers may go on. What is in memory is one slice of
the rows: the log is read once for each slice, and only the tail that came meanwhile while the snapshot is held.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .decode import Decode, Rejection
from .judgement import Judgement, is_told_of, judge
from .kafka_log import KafkaLog
from .kafka_scan import scan
from .letters.stored import headers_of
from .offsets import list_positions
from .oracle import TABLES, Oracle, Row
from .records import Partition, Record, Span, StoredRecord, record_crc

Kind = Literal["differs", "missing", "unlogged", "no_letter"]
_KEPT_FINDINGS = 10_000
MOST_SLICES = 256

_LETTERS = text(
    """
    SELECT topic, partition, "offset", record_timestamp, crc, state, reason, aggregate_id, corrected_aggregate_id,
           corrected_key, corrected_value, corrected_headers
      FROM dead_letters WHERE consumer_group = :consumer_group
    """
)


def _rows_of(table: str) -> TextClause:
    key = "user_id" if table == "user_profiles" else "id"
    return text(f"SELECT * FROM {table} WHERE get_byte(uuid_send({key}), 15) % :slices = :slice")  # noqa: S608


_ROWS = {table: _rows_of(table) for table in TABLES}


class Letter(NamedTuple):
    """What is known of a record that became a dead letter."""

    timestamp: int
    crc: int
    state: str
    reason: str
    aggregate_id: UUID | None
    corrected_aggregate_id: UUID | None
    """Of a letter that was corrected by hand."""
    corrected_key: bytes | None
    corrected_value: bytes | None
    corrected_headers: list[list[bytes | None]] | None
    """None if it was not corrected, or is blank by now."""


class Finding(NamedTuple):
    """A row, or a record, of which something is to be said. `columns` are those that are not as the log has them.

    differs: the log has it otherwise. missing: the row is not there. unlogged: nothing in the log tells of it.
    no_letter: a record that is no event, and that is no dead letter either; `row_id` is its place.
    """

    kind: Kind
    table: str
    row_id: str
    columns: tuple[str, ...]
    expected: Row
    held: Row


@dataclass
class Report:
    """What was compared, and what was found."""

    records: int = 0
    """Records read and folded, once each."""
    rows: Counter[str] = field(default_factory=Counter)
    """Rows compared, by table."""
    found: Counter[Kind] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    """The first ten thousand of them."""
    ahead: int = 0
    """Rows that hold what records beyond the group's position say: it is replaying, or another group was there."""
    waiting_for_names: int = 0
    """Users that have no name while their parked conflict waits."""
    corrected: int = 0
    """Rows that differ, and that a correction by hand was redriven into of which nothing is left to compare with."""
    incomplete: dict[Partition, str] = field(default_factory=dict)
    """Partitions that do not hold all that was ever written to them, and why: they cannot account for every row."""

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it while there is room."""
        self.found[finding.kind] += 1
        if len(self.findings) < _KEPT_FINDINGS:
            self.findings.append(finding)


@dataclass
class Verification:
    """One comparison of the rows with the log.

    Args:
        engine: One whose statements and idle transactions may take long: a snapshot is held while the tail is read.
        slices: How many parts of the rows to compare one after another, 1 to 256: each needs its share of memory.
        progress: Told how many records were read, again for each slice.
    """

    log: KafkaLog
    engine: AsyncEngine
    decode: Decode
    group: str
    topics: Mapping[str, int]
    """Topics to read, with their numbers of partitions."""
    slices: int = 1
    progress: Callable[[int], object] = lambda _records: None
    report: Report = field(default_factory=Report)

    async def run(self) -> Report:
        """Compare all slices.

        Raises:
            KafkaError: the brokers did not answer.
            UnavailableError: nothing can be read on.
        """
        for number in range(self.slices):
            await self._compare(number)
        return self.report

    async def stretches(self) -> dict[Partition, Span]:
        """What the log holds of each partition below the group's position."""
        async with self.engine.connect() as connection:
            positions = await self._positions(connection)
        ranges = await self.log.ranges(positions)
        return {place: Span(begin, max(begin, positions[place])) for place, (begin, _) in ranges.items()}

    async def _compare(self, number: int) -> None:
        oracle = Oracle(lambda row_id: int(row_id[-2:], 16) % self.slices == number)
        stretches = await self.stretches()
        async with self.engine.connect() as connection:
            letters = await _read_letters(connection, self.group)
        hearing = _Hearing(self.decode, letters, oracle)
        seen = await self._hear(hearing, stretches)
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            hearing.letters = await _read_letters(connection, self.group)
            positions = await self._positions(connection)
            tail = {place: Span(span.next, positions.get(place, 0)) for place, span in stretches.items()}
            tail = {place: span for place, span in tail.items() if span.start < span.next}
            seen.update(await self._hear(hearing, tail))
            hearing.hear_redriven()
            unlogged = await self._compare_rows(connection, oracle, hearing, number)
        if number == 0:
            self.report.records = seen.total()
            self._note_gaps(stretches | {p: Span(stretches[p].start, s.next) for p, s in tail.items()}, seen)
            for record in hearing.unparked:
                place = f"{record.topic}/{record.partition}/{record.offset}"
                self.report.add(Finding("no_letter", "dead_letters", place, (), {}, {}))
        await self._tell_ahead_from_unlogged(oracle, positions, unlogged)

    async def _positions(self, connection: AsyncConnection) -> dict[Partition, int]:
        rows = await list_positions(connection, self.group)
        stored = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
        return {place: at for place, at in stored.items() if place.number < self.topics.get(place.topic, 0)}

    async def _hear(self, hearing: "_Hearing", stretches: Mapping[Partition, Span]) -> Counter[Partition]:
        seen: Counter[Partition] = Counter()
        async for scanned in scan(self.log, stretches):
            for record in scanned.records:
                hearing.hear(record)
                seen[Partition(record.topic, record.partition)] += 1
            self.progress(sum(span.next - span.start for span in scanned.spans.values()))
        return seen

    async def _compare_rows(
        self, connection: AsyncConnection, oracle: Oracle, hearing: "_Hearing", number: int
    ) -> list[Finding]:
        unlogged: list[Finding] = []
        for table in TABLES:
            missing = oracle.ids(table)
            async for row_id, held in _read_rows(connection, table, self.slices, number):
                missing.discard(row_id)
                self.report.rows[table] += 1
                verdict = judge(oracle, table, row_id, held)
                if verdict != Judgement((), ()):
                    unlogged += self._settle(oracle, hearing, table, row_id, held, verdict)
            for row_id in sorted(missing):
                self.report.add(Finding("missing", table, row_id, (), oracle.row(table, row_id) or {}, {}))
        return unlogged

    def _settle(  # noqa: PLR0913, PLR0917 - what is known of one row
        self, oracle: Oracle, hearing: "_Hearing", table: str, row_id: str, held: Row, verdict: Judgement
    ) -> list[Finding]:
        """Count what is to be said of a row; those of which nothing in the log tells, so far, are handed back."""
        if UUID(row_id) in hearing.corrected:
            self.report.corrected += 1
            return []
        wrong = verdict.wrong
        if table == "users" and UUID(row_id) in hearing.waiting_for_names:
            released = {name for name in ("username", "email") if held[name] is None}
            self.report.waiting_for_names += 1
            wrong = tuple(name for name in wrong if name not in released)
        expected = oracle.row(table, row_id) or {}
        if wrong:
            self.report.add(Finding("differs", table, row_id, wrong, expected, held))
        elif verdict.unlogged:
            return [Finding("unlogged", table, row_id, verdict.unlogged, expected, held)]
        return []

    async def _tell_ahead_from_unlogged(
        self, oracle: Oracle, positions: Mapping[Partition, int], unlogged: Iterable[Finding]
    ) -> None:
        """Read on to the end for the rows that hold more than the log has told so far."""
        ids = {finding.row_id for finding in unlogged}
        if not ids:
            return
        beyond = Oracle(ids.__contains__)
        for table, by_id in oracle.statements.items():
            beyond.statements[table].update({row_id: list(by_id[row_id]) for row_id in ids & by_id.keys()})
        ends = await self.log.readable_ends(positions)
        ranges = await self.log.ranges(positions)
        rest = {p: Span(max(positions[p], ranges[p][0]), ends[p]) for p in positions if positions[p] < ends[p]}
        async for scanned in scan(self.log, rest):
            for record in scanned.records:
                event = self.decode(record)
                if not isinstance(event, Rejection):
                    beyond.hear(event["type"], event["time"], event["data"])
        for finding in unlogged:
            if is_told_of(beyond, finding.table, finding.row_id, finding.held, finding.columns):
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


class _Hearing:
    """What an oracle is to hear of the log: events that were applied, so no dead letter that is parked or discarded."""

    def __init__(self, decode: Decode, letters: Mapping[tuple[str, int, int], Letter], oracle: Oracle) -> None:
        self.letters = letters
        self.corrected: set[UUID] = set()
        self.unparked: list[Record] = []
        """Records that are no events, and no dead letters either."""
        self._decode = decode
        self._oracle = oracle
        self._parked: list[Record] = []

    @property
    def waiting_for_names(self) -> set[UUID]:
        """Users of whom a name conflict is parked."""
        waiting = (
            letter for letter in self.letters.values() if letter.reason == "conflict" and letter.state == "parked"
        )
        return {letter.aggregate_id for letter in waiting if letter.aggregate_id}

    def hear(self, record: Record) -> None:
        letter = self._letter_of(record)
        if letter and letter.state != "redriven":
            self._parked.append(record)
            return
        if letter and letter.corrected_aggregate_id and letter.corrected_headers is None:
            self._note_correction(letter)
            return
        event = self._decode(_corrected(record, letter) if letter and letter.corrected_headers is not None else record)
        if not isinstance(event, Rejection):
            self._oracle.hear(event["type"], event["time"], event["data"])
        elif letter is None:
            self.unparked.append(record)
        else:
            self._note_correction(letter)

    def hear_redriven(self) -> None:
        """Hear those that were parked when they were read, and are no longer."""
        parked, self._parked = self._parked, []
        for record in parked:
            self.hear(record)

    def _note_correction(self, letter: Letter) -> None:
        self.corrected.update(one for one in (letter.aggregate_id, letter.corrected_aggregate_id) if one)

    def _letter_of(self, record: Record) -> Letter | None:
        letter = self.letters.get((record.topic, record.partition, record.offset))
        if letter and (letter.timestamp, letter.crc) == (record.timestamp, record_crc(record)):
            return letter
        return None


def _corrected(record: Record, letter: Letter) -> Record:
    """What was applied in the place of the record."""
    headers = headers_of(letter.corrected_headers)
    place = (record.topic, record.partition, record.offset, record.timestamp)
    return StoredRecord(*place, letter.corrected_key, letter.corrected_value, headers)


async def _read_letters(connection: AsyncConnection, group: str) -> dict[tuple[str, int, int], Letter]:
    options = {"query_name": "verify.letters"}
    found = await connection.execute(_LETTERS, {"consumer_group": group}, execution_options=options)
    return {(topic, partition, offset): Letter(*rest) for topic, partition, offset, *rest in found}


async def _read_rows(
    connection: AsyncConnection, table: str, slices: int, number: int
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    options = {"query_name": "verify", "yield_per": 2_000}
    key = "user_id" if table == "user_profiles" else "id"
    parameters = {"slices": slices, "slice": number}
    async with connection.stream(_ROWS[table], parameters, execution_options=options) as found:
        async for row in found.mappings():
            yield str(row[key]), dict(row)
