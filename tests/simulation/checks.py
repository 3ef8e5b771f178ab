"""The invariants: what must be true of each transaction just before it is committed, and of the tables in the end."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from reelsync.consumer.operations.verify.changes import Row
from reelsync.consumer.operations.verify.reference import Oracle
from reelsync.consumer.records import Partition
from reelsync.testing.expected_tables import read_event

from .kafka import Effect, SimulatedKafka
from .postgres import Moved, SimulatedPostgres, Transaction
from .world import World

_NOT_COMPARED = frozenset({"is_deleted"})
"""Columns that PostgreSQL calculates."""
Applied = dict[tuple[Partition, str | None], dict[int, Effect]]
"""What the records did that were read, by log and offset."""


class Checks:
    """Compares what is written with what the records are about."""

    def __init__(self, world: World, kafka: SimulatedKafka) -> None:
        self._world = world
        self._kafka = kafka

    def committing(self, transaction: Transaction) -> None:
        """Positions move with rows: exactly the effects of the records that they move over, and never back."""
        moved = transaction.spans()
        for position in moved:
            if position.after < position.before:
                raise self._world.violated(f"{position.partition} goes back from {position.before} to {position.after}")
        self._note_positions(transaction)
        due = self._effects(moved)
        facts = {effect.row_id for _, effect in due if effect.kind == "fact"}
        letters = {(*place.partition, offset) for (place, offset), effect in due if effect.kind == "letter"}
        versions: dict[tuple[str, Any], int] = {}
        for _, effect in due:
            if effect.kind == "row":
                key = (effect.table, effect.row_id)
                versions[key] = max(versions.get(key, 0), effect.version)
        attempted = transaction.attempted
        for what, expected, found in (
            ("facts", facts, attempted.facts),
            ("dead letters", letters, attempted.letters),
            ("rows", set(versions.items()), set(attempted.versions.items())),
        ):
            if expected != found:
                places = [f"{p.partition} {p.before}-{p.after}" for p in moved]
                lacking, strange = sorted(expected - found), sorted(found - expected)
                raise self._world.violated(f"{places}: {what} without {lacking}, but with {strange}")

    def finished(self, postgres: SimulatedPostgres) -> None:
        """The tables are what the records come to that were read, and every record was read that can be."""
        applied: Applied = {}
        for committed in postgres.history:
            for (place, offset), effect in self._effects(committed.moved):
                applied.setdefault((place.partition, place.topic_id), {})[offset] = effect
        for log in self._kafka.partitions:
            read = applied.get((log.partition, log.topic_id), {})
            lost = [at for at in log.effects if at not in read and log.holds(at)]
            if lost:
                raise self._world.violated(f"{log.partition}: never read: {lost}")
        self._compare_letters(applied, postgres)
        self._compare_rows(applied, postgres)

    def _note_positions(self, transaction: Transaction) -> None:
        written = self._kafka.written
        for (table, _), row in transaction.own.items():
            if table == "consumer_offsets":
                place = Partition(row["topic"], row["partition"])
                written[place] = max(written.get(place, 0), row["next_offset"])

    def _effects(self, moved: Iterable[Moved]) -> list[tuple[tuple[Moved, int], Effect]]:
        due = []
        for place in moved:
            effects = self._kafka.logs[place.partition, place.topic_id].effects
            due += [((place, at), effects[at]) for at in range(place.before, place.after) if at in effects]
        return due

    def _compare_letters(self, applied: "Applied", postgres: SimulatedPostgres) -> None:
        expected = {
            (*partition, offset)
            for (partition, _), read in applied.items()
            for offset, effect in read.items()
            if effect.kind == "letter"
        }
        found = {(row["topic"], row["partition"], row["offset"]) for row in postgres.tables["dead_letters"].values()}
        if expected != found:
            raise self._world.violated(f"dead letters: {sorted(expected)} expected, {sorted(found)} found")

    def _compare_rows(self, applied: "Applied", postgres: SimulatedPostgres) -> None:
        oracle = Oracle()
        for place, read in applied.items():
            records = self._kafka.logs[place].records
            for offset, effect in read.items():
                if effect.kind != "letter":
                    oracle.add(*_event_in(records[offset].value or b""))
        for table, rows in oracle.tables().items():
            found = postgres.tables[table]
            if rows.keys() != found.keys():
                raise self._world.violated(f"{table}: rows {sorted(rows.keys() ^ found.keys())} are there or are not")
            for row_id, row in rows.items():
                held = found[row_id]
                for column, value in row.items():
                    if held.get(column) != value and _differs(column, value, held.get(column)):
                        raise self._world.violated(f"{table} {row_id} {column}: {value!r} expected in {held}")


@lru_cache(maxsize=4_096)
def _event_in(value: bytes) -> tuple[str, datetime, Row]:
    return read_event(value)


def _differs(column: str, value: Any, held: Any) -> bool:
    if column.endswith("version") and held is None:
        held = 0
    return column not in _NOT_COMPARED and _plain(held) != _plain(value)


def _plain(value: Any) -> str | None:
    if value is None or value is True or value == {}:
        # What a column holds that no event has set.
        return None
    return _written(value) if isinstance(value, datetime | UUID) else str(value)


@lru_cache(maxsize=4_096)
def _written(value: datetime | UUID) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
