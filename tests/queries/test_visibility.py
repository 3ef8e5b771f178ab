"""Deleted rows and placeholders do not show, unless a session or a statement asks for them."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased, selectinload

from reelsync.consumer.records import Partition
from reelsync.models import User, Video, create_session_factory, queries
from tests.queries.merged import at, merge
from tests.queries.reader import Reader
from tests.support.builders import START, an_id, record, user, video
from tests.support.writing import write_all

LIVE, DELETED, PLACEHOLDER = (UUID(an_id(number)) for number in (1, 2, 3))
OWNER = UUID(an_id(1001))


@pytest.fixture(autouse=True)
async def rows(reader: Reader) -> AsyncIterator[None]:
    await merge(
        reader.engine,
        user("created", 1),
        video("created", 1),
        at(START, video("created", 2)),
        video("deleted", 2, 2),
    )
    async with reader.engine.begin() as connection:
        made = "INSERT INTO videos (id, user_id, version) VALUES (:id, :user_id, 0)"
        await connection.execute(text(made), {"id": PLACEHOLDER, "user_id": OWNER})
    return


async def ids(session: AsyncSession) -> set[UUID]:
    return {found.id for found in await session.scalars(queries.videos_of_user(OWNER))}


async def test_a_session_hides_them_unless_asked(reader: Reader) -> None:
    for included, seen in [
        ({}, {LIVE}),
        ({"include_deleted": True}, {LIVE, DELETED}),
        ({"include_placeholders": True}, {LIVE, PLACEHOLDER}),
        ({"include_deleted": True, "include_placeholders": True}, {LIVE, DELETED, PLACEHOLDER}),
    ]:
        async with reader.session(**included) as session:
            assert await ids(session) == seen, included
            page = await queries.page_of_videos_of_user(session, OWNER)
            assert page.total == len(seen), included
            owner = (await session.scalars(queries.users_with_videos())).one()
            assert {found.id for found in owner.videos} == seen, included


async def test_a_statement_may_ask_by_itself(reader: Reader) -> None:
    async with reader.session() as session:
        query = queries.videos_of_user(OWNER)
        found = await session.scalars(query.execution_options(include_deleted=True))
        assert {video.id for video in found} == {LIVE, DELETED}
        assert await ids(session) == {LIVE}, "the statement alone asked"
    async with reader.session(include_deleted=True) as session:
        found = await session.scalars(query.execution_options(include_deleted=False))
        assert {video.id for video in found} == {LIVE}


async def test_they_are_hidden_wherever_the_entity_stands(reader: Reader) -> None:
    other = aliased(Video)
    inner = select(Video.id).subquery()
    statements = {
        "count": select(func.count()).select_from(Video),
        "column": select(func.count(Video.id)),
        "alias": select(func.count()).select_from(other),
        "join": select(func.count()).select_from(User).join(User.videos),
        "outer join": select(func.count(Video.id)).select_from(User).outerjoin(User.videos),
        "subquery": select(func.count()).select_from(inner),
        "cte": select(func.count()).select_from(select(Video.id).cte("seen")),
        "exists": select(func.count()).select_from(User).where(User.videos.any(Video.id != LIVE)),
    }
    async with reader.session() as session:
        counted = {name: await session.scalar(statement) for name, statement in statements.items()}
    assert counted == dict.fromkeys(statements, 1) | {"exists": 0}


async def test_get_does_not_find_them(reader: Reader) -> None:
    async with reader.session() as session:
        assert await session.get(Video, LIVE) is not None
        assert await session.get(Video, DELETED) is None
        assert await session.get(Video, PLACEHOLDER) is None
        assert await session.get(Video, DELETED, execution_options={"include_deleted": True}) is not None


async def test_a_row_deleted_meanwhile_can_be_refreshed(reader: Reader) -> None:
    """The criteria are for finding rows, not for those in hand."""
    async with reader.session() as session:
        found = await session.get_one(Video, LIVE)
        await merge(reader.engine, video("deleted", 1, 9))
        await session.refresh(found)
        assert found.is_deleted


async def test_an_owner_who_is_deleted_is_none(reader: Reader) -> None:
    await merge(reader.engine, user("deleted", 1, 5))
    query = select(Video).where(Video.id == LIVE).options(selectinload(Video.user))
    async with reader.session() as session:
        assert (await session.scalars(query)).one().user is None
    async with reader.session(include_deleted=True) as session:
        owner = (await session.scalars(query)).one().user
        assert owner is not None
        assert owner.username == "user_1"


async def test_erased_rows_are_hidden_as_deleted_ones_are(reader: Reader) -> None:
    await write_all(reader.engine, [[record(None, key=str(LIVE).encode())]], Partition("video-events", 1))
    async with reader.session() as session:
        assert await ids(session) == set()
    async with reader.session(include_deleted=True) as session:
        erased = await session.get_one(Video, LIVE)
        assert (erased.user_id, erased.title, erased.version > 2**62) == (None, None, True)


async def test_a_session_made_directly_hides_them_too(reader: Reader) -> None:
    async with create_session_factory(reader.engine)() as session:
        assert await ids(session) == {LIVE}
