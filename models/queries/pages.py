"""Pages: by position (keyset), for people who scroll; by number, with a total, for administrators."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, Self, TypeVar
from uuid import UUID

from sqlalchemy import Select, func
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models.videos import Video

Entity = TypeVar("Entity")


@dataclass(frozen=True)
class Page(Generic[Entity]):
    """One page of `total` rows."""

    items: Sequence[Entity]
    total: int
    """Rows on all pages, counted just before the page was read."""
    limit: int
    offset: int


class VideoPosition(NamedTuple):
    """The position at which a page of videos, newest first, ended."""

    created_at: datetime
    id: UUID

    @classmethod
    def of(cls, video: Video) -> Self:
        """The position of a video: the next page begins after it."""
        return cls(video.created_at, video.id)

    def to_token(self) -> str:
        """The position as text that is safe in a URL."""
        return base64.urlsafe_b64encode(f"{self.created_at.isoformat()} {self.id}".encode()).decode()

    @classmethod
    def from_token(cls, token: str) -> Self:
        """The position in a text that `to_token` made.

        Raises:
            ValueError: it is not such a text.
        """
        try:
            created_at, _, video_id = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
            position = cls(datetime.fromisoformat(created_at), UUID(video_id))
        except ValueError:
            raise ValueError("not a position: pass on the token of the page before, as it is") from None
        if position.created_at.tzinfo is None:
            raise ValueError("not a position: its time has no zone")
        return position


async def fetch_page(session: AsyncSession, statement: Select[Entity], *, limit: int, offset: int = 0) -> Page[Entity]:
    """The rows `offset` … `offset + limit` of an ordered statement of one entity, and how many there are in all.

    Two statements: `SELECT count(*) …` and the statement itself with LIMIT and OFFSET. The database walks over all rows
    before the offset, so a far page costs as much as all pages before it: for people who scroll, use a position.

    Args:
        session: The session to read in.
        statement: Selects one entity, without GROUP BY, LIMIT or joined collections.
        limit: Rows of a page.
        offset: Rows before the page.
    """
    statement = statement.execution_options(query_name=_name_of(statement))
    counted = statement.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    total = (await session.execute(counted)).scalar_one()
    items = (await session.scalars(statement.limit(limit).offset(offset))).all()
    return Page(items=items, total=total, limit=limit, offset=offset)


def _name_of(statement: Select[Entity]) -> str:
    name: str = statement.get_execution_options().get("query_name", "queries.fetch_page")
    return name
