"""Rows that services write live together with rows merged from events, whichever comes first."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import (
    ConsumerOffset,
    ModelUsage,
    NewVideo,
    User,
    UserProfile,
    Video,
    VideoStatus,
    bulk_delete,
    bulk_insert,
    bulk_soft_delete,
    bulk_update,
    create_user_with_videos,
    queries,
)
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.support.builders import START, an_id, usage, user, video

VIDEO, OWNER = UUID(an_id(1)), UUID(an_id(1001))
DETAILS = {"title": "By the service", "description": None, "avatar_id": None, "voice_id": None, "language": None}
DETAILS |= {"resolution": None}


@pytest.fixture
async def session(reader: Reader) -> AsyncIterator[AsyncSession]:
    async with reader.session() as session:
        yield session


async def stored(reader: Reader, key: UUID = VIDEO) -> Video:
    async with reader.session(include_deleted=True, include_placeholders=True) as session:
        return await session.get_one(Video, key)


async def make(session: AsyncSession) -> User:
    return await create_user_with_videos(
        session, username="user_1", email="user1@example.com", user_id=OWNER, videos=[NewVideo(title="Mine", id=VIDEO)]
    )


async def test_a_user_with_videos_is_one_transaction(reader: Reader, session: AsyncSession) -> None:
    reader.sent.clear()
    made = await create_user_with_videos(
        session, username="ada", email="ada@example.com", videos=[NewVideo(title=f"Video {n}") for n in range(10)]
    )
    assert [sent.sql.split()[:3] for sent in reader.sent] == [["INSERT", "INTO", "users"], ["INSERT", "INTO", "videos"]]
    assert (made.username, made.is_deleted, made.profile, len(made.videos)) == ("ada", False, None, 10)
    async with reader.session() as other:
        found = (await other.scalars(queries.users_with_videos())).one()
        assert sorted(video.title or "" for video in found.videos) == sorted(f"Video {n}" for n in range(10))
        assert {(video.status, video.progress) for video in found.videos} == {(VideoStatus.PENDING, 0)}


async def test_it_is_all_or_nothing(reader: Reader, session: AsyncSession) -> None:
    async with reader.session() as other:
        await make(other)
    videos = [NewVideo(title="New"), NewVideo(title="", id=VIDEO)]
    with pytest.raises(IntegrityError):
        await create_user_with_videos(session, username="bob", email="bob@example.com", videos=videos)
    with pytest.raises(IntegrityError):
        await create_user_with_videos(session, username="user_1", email="other@example.com")
    assert await session.scalar(select(func.count()).select_from(User)) == 1, "the session goes on"
    assert await session.scalar(select(func.count()).select_from(Video)) == 1


async def test_it_makes_the_rows_that_its_events_would(reader: Reader, session: AsyncSession) -> None:
    """Published afterwards, they write nothing; from a replay into another database come the same rows."""
    await make(session)
    before = (await stored(reader)).to_dict()
    await merge(reader.engine, user("created", 1), video("created", 1, title="Mine"))
    after = (await stored(reader)).to_dict()
    assert after.pop("created_at") == "2026-01-05T10:00:01+00:00", "the earliest time seen"
    created_at = before.pop("created_at")
    assert (before, created_at) == (after, before["updated_at"])
    await merge(reader.engine, user("created", 2), video("created", 2, owner=2, title="Mine"))
    by_event, ignored = (await stored(reader, UUID(an_id(2)))).to_dict(), {"id", "user_id", "created_at", "updated_at"}
    assert {k: v for k, v in after.items() if k not in ignored} == {
        k: v for k, v in by_event.items() if k not in ignored
    }


async def test_later_events_merge_into_rows_of_a_service(reader: Reader, session: AsyncSession) -> None:
    await make(session)
    await merge(
        reader.engine,
        video("completed", 1, 3),
        video("processing", 1, 2),
        user("updated", 1, 2, username="renamed"),
        user("profile_updated", 1, 3, full_name="Ada"),
        usage(1, 1),
    )
    found = await stored(reader)
    assert (found.title, found.status, found.version) == ("Mine", VideoStatus.COMPLETED, 3)
    assert found.started_at is not None
    async with reader.session() as other:
        owner = (await other.scalars(queries.user_by_id(OWNER))).one()
        assert owner.profile is not None
        assert (owner.username, owner.profile.full_name) == ("renamed", "Ada")


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


async def test_an_update_and_events_merge_in_any_order(reader: Reader, session: AsyncSession) -> None:
    await make(session)
    assert await bulk_update(session, Video, [{"id": VIDEO, "version": 5} | DETAILS]) == 1
    await session.commit()
    await merge(reader.engine, video("updated", 1, 4, title="Older"), video("completed", 1, 3))
    found = await stored(reader)
    assert (found.title, found.status, found.user_id, found.version) == (
        "By the service",
        VideoStatus.COMPLETED,
        OWNER,
        5,
    )
    await merge(reader.engine, video("updated", 1, 6, title="Newer"))
    assert await bulk_update(session, Video, [{"id": VIDEO, "version": 5} | DETAILS]) == 0
    await session.commit()
    assert (await stored(reader)).title == "Newer"


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


async def test_services_and_the_consumer_at_once_do_not_deadlock(reader: Reader) -> None:
    """Both lock rows in the order of their keys; in the orders given here, they would wait for each other."""
    numbers = range(1, 61)
    ids = [UUID(an_id(number)) for number in numbers]
    await merge(reader.engine, user("created", 1), *(video("created", number) for number in numbers))

    async def service(version: int) -> int:
        async with reader.session() as session:
            rows = [{"id": key, "version": version} | DETAILS for key in (ids if version % 2 else reversed(ids))]
            changed = await bulk_update(session, Video, rows, chunk=7)
            await session.commit()
            return changed

    async def consumer(version: int) -> None:
        await merge(reader.engine, *(video("progressed", number, version) for number in reversed(numbers)))

    await consumer(2)
    await asyncio.gather(*(service(version) for version in range(3, 13)), _each(consumer, range(13, 18)))
    async with reader.session() as session:
        rows = (await session.scalars(select(Video))).all()
        assert {(row.title, row.details_version, row.state_version, row.version) for row in rows} == {
            ("By the service", 12, 17, 17)
        }


async def _each(what: Any, versions: range) -> None:
    for version in versions:
        await what(version)
