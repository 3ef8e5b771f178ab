"""Selecting dead letters, as conditions of a query. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal, or_, tuple_

from .table import KEY_COLUMNS, TABLE, LetterKey


class Place(NamedTuple):
    """The place of a record. If a topic was created again, several letters may have the same place."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True)
class Selection:
    """Letters that meet all of the given conditions. `states`: none means any."""

    place: Place | None = None
    after: Place | LetterKey | None = None
    reasons: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    aggregate: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    """First seen at or after `since`, and before `until`."""
    corrected: bool = False
    untried: bool = False
    """Not redriven by an operator since they were parked or corrected."""
    redrives_from: int | None = None
    redrives_below: int | None = None
    unrelayed: bool = False
    """Not acknowledged by the relay's topic yet, and not blank."""
    states: tuple[str, ...] = ("parked",)

    @property
    def is_everything(self) -> bool:
        """Whether the state is the only condition."""
        return self == type(self)(states=self.states)

    def with_state(self, *states: str) -> Self:
        """The same letters, in these states."""
        return replace(self, states=states)

    def conditions(self, group: str) -> list[ColumnElement[bool]]:
        """The selection, within one consumer group."""
        column = TABLE.c
        found: list[ColumnElement[bool]] = [column.consumer_group == group, *self._about()]
        if self.place:
            found += [column[name] == value for name, value in self.place._asdict().items()]
        if self.after:
            found.append(_after(self.after))
        if self.since:
            # A letter is never attempted before it was first seen. The second condition uses the index.
            found += [column.first_seen_at >= self.since, column.last_attempt_at >= self.since]
        if self.until:
            found.append(column.first_seen_at < self.until)
        if self.corrected:
            found.append(column.corrected_headers.is_not(None))
        if self.untried:
            found.append(column.redrives == 0)
        if self.redrives_from is not None:
            found.append(column.redrives >= self.redrives_from)
        if self.redrives_below is not None:
            found.append(column.redrives < self.redrives_below)
        if self.unrelayed:
            found += [column.relayed_at.is_(None), column.headers.is_not(None)]
        return found

    def _about(self) -> Iterator[ColumnElement[bool]]:
        column = TABLE.c
        if self.states:
            # A literal: after five runs PostgreSQL may make a plan for any value of a parameter, and then no partial
            # index matches.
            yield column.state.in_(bindparam(None, list(self.states), expanding=True, literal_execute=True))
        named = {"reason": self.reasons, "event_type": self.event_types, "topic": self.topics}
        for name, values in named.items():
            if values:
                yield column[name].in_(values)
        if self.aggregate:
            yield or_(column.aggregate_id == self.aggregate, column.corrected_aggregate_id == self.aggregate)


def _after(key: Place | LetterKey) -> Any:
    columns = KEY_COLUMNS[: len(key)]
    return tuple_(*columns) > tuple_(*(literal(part, column.type) for part, column in zip(key, columns, strict=True)))
