"""Conditions that several queries share."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Date, Uuid, any_, bindparam, cast, func, literal, literal_column
from sqlalchemy.orm import InstrumentedAttribute

from reelsync.models.videos import Video, VideoStatus

# A literal: a parameter would be a different one in each clause, and GROUP BY would not match.
_UTC: ColumnElement[str] = literal_column("'UTC'")


def among(
    column: InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None], ids: Collection[UUID]
) -> ColumnElement[bool]:
    """`column = ANY (:ids)`: one parameter and one prepared statement for any number of ids."""
    return column == any_(literal(list(ids), ARRAY(Uuid())))


def within(
    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None] | ColumnElement[datetime],
    since: datetime | None,
    until: datetime | None,
) -> list[ColumnElement[bool]]:
    """`:since <= column < :until`; an end that is None is open.

    On a column with a BRIN index this reads the part of the table that was written around that time.
    """
    conditions: list[ColumnElement[bool]] = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions


def has_status(status: VideoStatus) -> ColumnElement[bool]:
    """`status = 'processing'`, with the value in the text of the statement.

    A plan for any value could not use the partial index on unfinished videos.
    """
    return Video.status == bindparam(None, status, Video.status.type, literal_execute=True)


def day_of(column: InstrumentedAttribute[datetime] | ColumnElement[datetime]) -> ColumnElement[date]:
    """The day of a time, in UTC, whatever the zone of the connection."""
    return cast(func.timezone(_UTC, column), Date)
