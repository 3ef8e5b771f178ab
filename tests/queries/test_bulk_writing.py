"""Rows written in bulk: one statement a chunk, merged with what is there, and refused where they would not merge."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import (
    ConsumerOffset,
    ModelUsage,
    User,
    UserProfile,
    Video,
    VideoStatus,
    bulk_delete,
    bulk_insert,
    bulk_soft_delete,
    bulk_update,
    queries,
)
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.queries.written import DETAILS, OWNER, VIDEO, make, stored
from tests.support.builders import START, an_id, usage, video


@pytest.mark.parametrize("rows", [1, 10, 1000, 2500])
async def test_bulk_insert_sends_one_statement_a_chunk(reader: Reader, session: AsyncSession, rows: int) -> None:
    await make(session)
    reader.sent.clear()
    made = [{"id": uuid4(), "user_id": OWNER, "title": f"Video {n}", "language": "de"} for n in range(rows)]
    assert await bulk_insert(session, Video, made) == rows
    assert len(reader.sent) == -(-rows // 1000)
    await session.commit()
    found = (await session.scalars(select(Video).where(Video.language == "de"))).all()
    assert {row.title for row in found} == {row["title"] for row in made}
    assert {row.version for row in found} == {1}


async def test_bulk_insert_of_what_is_there_merges(reader: Reader, session: AsyncSession) -> None:
    """A placeholder is filled, a newer facet stays, and what is inserted again changes nothing."""
    await merge(reader.engine, usage(1, 1), video("updated", 2, 5, title="Newer"))
    rows = [
        {"id": OWNER, "username": "ada"},
    ]
    assert await bulk_insert(session, User, rows) == 1
    videos = [
        {"id": VIDEO, "user_id": OWNER, "title": "Mine"},
        {"id": UUID(an_id(2)), "user_id": OWNER, "title": "Mine", "status": "pending", "progress": 0},
    ]
    assert await bulk_insert(session, Video, videos) == 2
    assert await bulk_insert(session, Video, [row | {"updated_at": START} for row in videos]) == 0
    await session.commit()
    assert ((await stored(reader)).title, (await stored(reader)).version) == ("Mine", 1)
    newer = await stored(reader, UUID(an_id(2)))
    assert (newer.title, newer.status, newer.version) == ("Newer", VideoStatus.PENDING, 5)


async def test_bulk_insert_into_tables_of_facts_and_other_types(session: AsyncSession) -> None:
    await make(session)
    used_at = datetime(2026, 1, 5, tzinfo=UTC)
    fact = {"video_id": VIDEO, "user_id": OWNER, "model_name": "m", "cost_usd": Decimal("0.5"), "used_at": used_at}
    ids = [uuid4() for _ in range(5)]
    assert await bulk_insert(session, ModelUsage, [fact | {"id": key} for key in ids], chunk=2) == 5
    profile = {"user_id": OWNER, "full_name": "Ada"}
    assert await bulk_insert(session, UserProfile, [profile]) == 1
    prefer = {"id": UUID(an_id(1002)), "preferences": {"theme": {"dark": True}}, "last_login_at": used_at}
    assert await bulk_insert(session, User, [prefer]) == 1
    await session.commit()
    found = await session.get_one(User, prefer["id"])
    assert (found.preferences, found.last_login_at, found.is_active) == ({"theme": {"dark": True}}, used_at, True)
    assert await bulk_delete(session, ModelUsage, ids[:3], chunk=2) == 3
    assert await session.scalar(select(func.count()).select_from(ModelUsage)) == 2
    assert await bulk_update(session, ModelUsage, [{"id": ids[3], "cost_usd": Decimal(2)}]) == 1
    await session.commit()
    assert await session.scalar(select(func.sum(ModelUsage.cost_usd))) == Decimal("2.5")


async def test_an_update_leaves_out_what_is_not_there(session: AsyncSession) -> None:
    await make(session)
    missing = [{"id": uuid4(), "version": 2} | DETAILS for _ in range(3)]
    assert await bulk_update(session, Video, [*missing, {"id": VIDEO, "version": 2} | DETAILS], chunk=2) == 1
    await session.commit()
    assert await session.scalar(select(func.count()).select_from(Video)) == 1


async def test_soft_deletion_in_bulk(reader: Reader, session: AsyncSession) -> None:
    await make(session)
    assert await bulk_soft_delete(session, Video, {VIDEO: 2, uuid4(): 2}) == 1
    await session.commit()
    assert (await session.scalars(queries.videos_of_user(OWNER))).all() == []
    await merge(reader.engine, video("restored", 1, 1))
    assert (await stored(reader)).is_deleted, "an older event"
    await merge(reader.engine, video("restored", 1, 3))
    assert not (await stored(reader)).is_deleted


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"title": "T"} | DETAILS, "needs its `version`"),
        ({"version": 0} | DETAILS, "needs its `version`"),
        ({"version": 2, "title": "T"}, "facet details is set whole, and avatar_id, description, language"),
        ({"version": 2, "titel": "T"}, "titel cannot be set; these can: avatar_id"),
        ({"version": 2, "details_version": 9}, "details_version cannot be set"),
    ],
)
async def test_rows_that_would_not_merge_are_refused(session: AsyncSession, row: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await bulk_update(session, Video, [{"id": VIDEO} | row])


async def test_what_cannot_be_done_says_what_can(session: AsyncSession) -> None:
    with pytest.raises(TypeError, match="bulk_soft_delete"):
        await bulk_delete(session, Video, [VIDEO])
    with pytest.raises(TypeError, match="bulk_delete"):
        await bulk_soft_delete(session, ModelUsage, {VIDEO: 1})
    with pytest.raises(TypeError, match="bulk_delete"):
        await bulk_soft_delete(session, ConsumerOffset, {VIDEO: 1})
    with pytest.raises(ValueError, match="more than one row"):
        await bulk_insert(session, Video, [{"id": VIDEO, "title": "1"}, {"id": VIDEO, "title": "2"}])
    with pytest.raises(TypeError, match="a UUID"):
        await bulk_insert(session, Video, [{"title": "1"}])
    with pytest.raises(TypeError, match="bytes cannot be stored"):
        await bulk_insert(session, Video, [{"id": VIDEO, "title": b"1"}])
