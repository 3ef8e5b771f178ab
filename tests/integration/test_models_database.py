"""The models on PostgreSQL: what the ORM writes, and what the database enforces."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from consumer.errors import constraint, sqlstate
from models import ModelUsage, User, UserProfile, Video, VideoStatus
from models.engine import create_engine
from models.videos import LARGE_FILE_BYTES

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def session(database: str) -> AsyncIterator[AsyncSession]:
    engine = create_engine(database)
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        yield session
    await engine.dispose()


def a_user(name: str = "someone") -> User:
    return User(id=uuid4(), username=name, email=f"{name}@example.com")


async def test_rows_written_by_the_orm_get_their_timestamps(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    await session.commit()
    created = user.created_at
    assert created == user.updated_at or created < user.updated_at
    user.avatar_url = "https://cdn.example.com/a.png"
    await session.commit()
    assert user.created_at == created
    assert user.updated_at > created


async def test_timestamps_set_by_hand_stay(session: AsyncSession) -> None:
    user = a_user()
    user.created_at = user.updated_at = LONG_AGO
    session.add(user)
    await session.commit()
    user.username, user.updated_at = "other", LONG_AGO.replace(year=2021)
    await session.commit()
    assert (user.created_at.year, user.updated_at.year) == (2020, 2021)


async def test_an_object_that_did_not_change_is_not_updated(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    await session.commit()
    updated = user.updated_at
    user.username = user.username
    await session.commit()
    assert user.updated_at == updated


async def test_repr_of_an_expired_object_sends_no_query(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    await session.commit()
    session.expire(user)
    assert repr(user) == "User()"
    assert user.to_dict() == {}


async def test_a_change_inside_preferences_is_stored(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    await session.commit()
    user.preferences["theme"] = "dark"
    await session.commit()
    assert await session.scalar(text("SELECT preferences->>'theme' FROM users")) == "dark"


async def test_is_deleted_follows_deleted_at(session: AsyncSession) -> None:
    user = a_user()
    session.add(user)
    user.soft_delete()
    await session.commit()
    assert await session.scalar(select(User.is_deleted)) is True


@pytest.mark.parametrize(("size", "large"), [(None, False), (LARGE_FILE_BYTES, False), (LARGE_FILE_BYTES + 1, True)])
async def test_is_large_file_in_sql(session: AsyncSession, size: int | None, large: bool) -> None:
    user = a_user()
    session.add_all([user, Video(id=uuid4(), user_id=user.id, file_size=size, status=VideoStatus.COMPLETED)])
    await session.commit()
    assert await session.scalar(select(Video.is_large_file)) is large
    assert await session.scalar(select(func.count()).where(Video.is_large_file)) == int(large)


async def test_a_deleted_user_takes_along_what_belongs_to_it(session: AsyncSession) -> None:
    user = a_user()
    video = Video(id=uuid4(), user=user)
    session.add_all([user, UserProfile(user=user), video])
    usage = ModelUsage(id=uuid4(), video=video, user_id=user.id, model_name="voice-2", used_at=LONG_AGO)
    session.add(usage)
    await session.commit()
    session.expunge_all()
    await session.delete(await session.get_one(User, user.id))
    await session.commit()
    for model in (User, UserProfile, Video, ModelUsage):
        assert await session.scalar(select(func.count()).select_from(model)) == 0


async def test_a_name_is_unique_among_live_users_only(session: AsyncSession) -> None:
    gone = a_user("bob")
    gone.soft_delete()
    session.add_all([gone, a_user("bob")])
    await session.commit()
    session.add(User(id=uuid4(), username="bob", email="another@example.com"))
    with pytest.raises(DBAPIError) as caught:
        await session.commit()
    assert (sqlstate(caught.value), constraint(caught.value)) == ("23P01", "uq_users_username")


async def test_names_can_be_swapped_in_one_statement(session: AsyncSession) -> None:
    session.add_all([a_user("bob"), a_user("rob")])
    await session.commit()
    await session.execute(text("UPDATE users SET username = CASE username WHEN 'bob' THEN 'rob' ELSE 'bob' END"))
    await session.commit()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("INSERT INTO users (id, username) VALUES (gen_random_uuid(), 'no spaces')", "ck_users_username_format"),
        ("INSERT INTO videos (id) VALUES (gen_random_uuid())", "ck_videos_owner_until_erased"),
        (
            "INSERT INTO videos (id, version, status) VALUES (gen_random_uuid(), 4611686018427387904, 'x')",
            "ck_videos_status",
        ),
        (
            "INSERT INTO videos (id, version, progress) VALUES (gen_random_uuid(), 4611686018427387904, 101)",
            "ck_videos_progress",
        ),
    ],
)
async def test_the_database_enforces_what_the_models_say(session: AsyncSession, change: str, name: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        await session.execute(text(change))
    assert constraint(caught.value) == name
