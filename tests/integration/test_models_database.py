"""The models on PostgreSQL: what the ORM writes, and what the database sees to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from reelsync.consumer.postgres.sqlstate import sqlstate
from reelsync.models import ConsumerOffset, DeadLetter, ModelUsage, User, UserProfile, Video, VideoStatus
from tests.support.orm_rows import LONG_AGO, a_user, count, stored, usage_of

MIB = 1024 * 1024
ERASED = 2**62


@pytest.fixture
def statements(engine: AsyncEngine) -> list[str]:
    """What is sent to the database from here on."""
    sent: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda _c, _cur, statement, *_: sent.append(statement))
    return sent


@pytest.mark.parametrize(
    "make",
    [
        a_user,
        lambda: UserProfile(user=a_user()),
        lambda: Video(id=uuid4(), user=a_user()),
        lambda: usage_of(Video(id=uuid4(), user=a_user())),
    ],
    ids=["users", "user_profiles", "videos", "model_usage"],
)
async def test_a_new_row_gets_both_timestamps(session: AsyncSession, make: Callable[[], Any]) -> None:
    before = datetime.now(UTC)
    row = make()
    session.add(row)
    found: Any = await stored(session, row)
    assert before <= found.created_at <= found.updated_at <= datetime.now(UTC)


async def test_rows_without_one_timestamp_or_both_can_be_written(session: AsyncSession) -> None:
    keys = {"consumer_group": "g", "topic": "t", "partition": 0}
    letter = DeadLetter(**keys, offset=1, record_timestamp=0, crc=0, stage="decode", reason="not_json")
    session.add_all([ConsumerOffset(**keys, next_offset=0), letter])
    await session.commit()
    await session.refresh(letter)
    assert (letter.state, letter.attempts, letter.detail) == ("parked", 1, {})
    letter.state = "discarded"
    await session.commit()


async def test_a_change_moves_updated_at_and_leaves_created_at(session: AsyncSession) -> None:
    user = a_user(created_at=LONG_AGO, updated_at=LONG_AGO)
    session.add(user)
    await session.commit()
    before = datetime.now(UTC)
    user.avatar_url = "https://example.com/a.png"
    found: Any = await stored(session, user)
    assert found.created_at == LONG_AGO
    assert before <= found.updated_at <= datetime.now(UTC)


async def test_timestamps_set_by_hand_stay(session: AsyncSession) -> None:
    user = a_user(created_at=LONG_AGO, updated_at=LONG_AGO)
    session.add(user)
    await session.commit()
    user.username, user.updated_at = "other", LONG_AGO.replace(year=2021)
    found: Any = await stored(session, user)
    assert (found.username, found.created_at.year, found.updated_at.year) == ("other", 2020, 2021)


async def test_a_row_that_did_not_change_is_not_written(session: AsyncSession, statements: list[str]) -> None:
    user = a_user(updated_at=LONG_AGO)
    session.add(user)
    await session.commit()
    statements.clear()
    user.username = user.username
    await session.commit()
    assert [statement for statement in statements if statement.startswith("UPDATE")] == []
    assert user.updated_at == LONG_AGO


async def test_a_new_video_is_no_change_of_its_user(session: AsyncSession) -> None:
    user = a_user(updated_at=LONG_AGO)
    session.add(user)
    await session.commit()
    await session.refresh(user, ["videos"])
    user.videos.append(Video(id=uuid4()))
    found: Any = await stored(session, user)
    assert found.updated_at == LONG_AGO


async def test_is_deleted_is_made_by_the_database_and_follows_deleted_at(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    for change, expected in ((lambda: None, False), (user.soft_delete, True), (user.restore, False)):
        change()
        await session.commit()
        await session.refresh(user)
        assert user.is_deleted is expected
    with pytest.raises(DBAPIError) as caught:
        await session.execute(text("UPDATE users SET is_deleted = true"))
    assert sqlstate(caught.value) == "428C9"


@pytest.mark.parametrize(("size", "large"), [(None, False), (0, False), (100 * MIB, False), (100 * MIB + 1, True)])
async def test_is_large_file_means_the_same_in_sql(session: AsyncSession, size: int | None, large: bool) -> None:
    video = Video(id=uuid4(), user=a_user(), file_size=size)
    session.add(video)
    await session.commit()
    assert await session.scalar(select(Video.is_large_file)) is large is video.is_large_file
    assert await session.scalar(select(func.count()).where(Video.is_large_file)) == int(large)
    assert await session.scalar(select(func.count()).where(~Video.is_large_file)) == int(not large)


async def test_columns_come_back_as_they_were_given(session: AsyncSession) -> None:
    video = Video(id=uuid4(), user=a_user(preferences={"n": 2**80, "é": [None, 1.5]}), status=VideoStatus.FAILED)
    session.add(video)
    found: Any = await stored(session, video)
    assert found.status is VideoStatus.FAILED
    assert (await session.get_one(User, found.user_id)).preferences == {"n": 2**80, "é": [None, 1.5]}
    assert await session.scalar(select(Video.status).where(Video.video_id == found.id)) is VideoStatus.FAILED


async def test_a_change_made_in_place_in_preferences_is_written(session: AsyncSession) -> None:
    user = a_user(updated_at=LONG_AGO)
    session.add(user)
    found: Any = await stored(session, user)
    assert found.preferences == {}
    found.preferences["theme"] = "dark"
    again: Any = await stored(session, found)
    assert again.preferences == {"theme": "dark"}
    assert again.updated_at > LONG_AGO


async def test_repr_of_an_expired_row_sends_no_query(session: AsyncSession, statements: list[str]) -> None:
    user = a_user()
    session.add(user)
    await session.commit()
    statements.clear()
    session.expire(user)
    assert (repr(user), user.to_dict(), statements) == ("User()", {}, [])


async def test_a_deleted_user_takes_all_along_in_few_statements(session: AsyncSession, statements: list[str]) -> None:
    user = a_user()
    session.add_all([user, UserProfile(user=user)])
    for _ in range(20):
        video = Video(id=uuid4(), user=user)
        session.add_all([video, *(usage_of(video) for _ in range(3))])
    await session.commit()
    session.expunge_all()
    statements.clear()
    await session.delete(await session.get_one(User, user.id))
    await session.commit()
    assert [statement.split()[0] for statement in statements] == ["SELECT", "DELETE"]
    assert [await count(session, model) for model in (User, UserProfile, Video, ModelUsage)] == [0, 0, 0, 0]


async def test_a_video_or_profile_taken_from_its_user_is_deleted(session: AsyncSession) -> None:
    user = a_user()
    session.add_all([user, UserProfile(user=user), Video(id=uuid4(), user=user), Video(id=uuid4(), user=user)])
    await session.commit()
    await session.refresh(user, ["videos", "profile"])
    user.profile = None
    del user.videos[0]
    await session.commit()
    assert [await count(session, model) for model in (User, UserProfile, Video)] == [1, 0, 1]
