"""Sessions that tell what they send, and never load lazily."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import ORMExecuteState, raiseload

from reelsync.models import create_engine, create_session_factory, get_session
from reelsync.models.pooler import Pooler
from tests.queries.cases import Case, Sample
from tests.support.roles import TEST_SCHEMA


@dataclass(frozen=True)
class Sent:
    """A statement as the driver got it."""

    sql: str
    parameters: Any


@dataclass(frozen=True)
class Reader:
    """Sessions on one database, and what they have sent."""

    engine: AsyncEngine
    sent: list[Sent]

    @asynccontextmanager
    async def session(self, **included: bool) -> AsyncIterator[AsyncSession]:
        """A session in which a lazy load raises."""
        async with get_session(create_session_factory(self.engine), **included) as session:
            event.listen(session.sync_session, "do_orm_execute", _raise_on_sql)
            yield session


@asynccontextmanager
async def reading(url: str, pooler: Pooler = "none") -> AsyncIterator[Reader]:
    """A reader of the database at `url`, where this pooler listens or none."""
    engine: AsyncEngine = create_engine(url, pooler=pooler, search_path=TEST_SCHEMA)
    sent: list[Sent] = []

    def remember(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        sent.append(Sent(sql, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    try:
        yield Reader(engine, sent)
    finally:
        await engine.dispose()


async def run(session: AsyncSession, case: Case, sample: Sample) -> list[Any]:
    """The rows of a query; entities as themselves."""
    query = case.call(session, sample)
    if not isinstance(query, Select):
        return list((await query).items)
    rows = (await session.execute(query)).unique().all()
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def _raise_on_sql(state: ORMExecuteState) -> None:
    if state.is_select and not state.is_column_load and not state.is_relationship_load:
        state.statement = state.statement.options(raiseload("*", sql_only=True))
