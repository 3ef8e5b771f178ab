"""Rows that services write live together with rows merged from events, whichever comes first."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import (
    NewVideo,
    User,
    Video,
    VideoStatus,
    bulk_update,
    create_user_with_videos,
    queries,
)
from tests.queries.merged import merge
from tests.queries.reader import Reader
from tests.queries.written import DETAILS, OWNER, VIDEO, make, stored
from tests.support.builders import an_id, usage, user, video


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
