"""What each query finds among rows that were merged from events."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select, inspect
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.models import Video, VideoStatus, queries
from tests.queries.merged import at, merge
from tests.queries.reader import Reader
from tests.queries.story import DAY, EVENTS, HOUR, id_of, user_id
from tests.support.builders import START, usage, user, video


@pytest.fixture
async def session(reader: Reader) -> AsyncIterator[AsyncSession]:
    await merge(reader.engine, *EVENTS)
    async with reader.session() as session:
        yield session


async def users_of(session: AsyncSession, query: Select[Any]) -> list[str]:
    return [found.username for found in (await session.scalars(query)).unique()]


async def numbers_of(session: AsyncSession, query: Select[Video]) -> list[int]:
    """The numbers of the videos found."""
    numbers = {id_of(number): number for number in range(1, 11)}
    return [numbers[found.id] for found in await session.scalars(query)]


async def test_active_users(session: AsyncSession) -> None:
    assert await users_of(session, queries.active_users()) == ["user_1"]
    assert await users_of(session, queries.active_users(after=user_id(1))) == []


async def test_users_with_videos_and_profile(session: AsyncSession) -> None:
    first, second = (await session.scalars(queries.users_with_videos())).all()
    assert first.profile is not None
    assert (first.profile.full_name, second.profile) == ("Ada", None)
    assert {found.id for found in first.videos} == {id_of(number) for number in (1, 2, 3, 4)}
    assert {found.id for found in second.videos} == {id_of(number) for number in (6, 7, 9)}
    assert await users_of(session, queries.users_with_videos(after=user_id(1))) == ["user_2"]
    assert await users_of(session, queries.users_with_videos(limit=1)) == ["user_1"]
    ids = [user_id(2), user_id(3), user_id(4)]
    assert await users_of(session, queries.users_with_videos(ids=ids)) == ["user_2"]


async def test_users_by_id_and_names(session: AsyncSession) -> None:
    (ada,) = (await session.scalars(queries.user_by_id(user_id(1)))).all()
    assert ada.profile is not None
    assert ada.profile.full_name == "Ada"
    ids = [user_id(number) for number in (1, 2, 3, 4, 5)]
    assert await users_of(session, queries.users_by_ids(ids)) == ["user_1", "user_2"]
    assert await users_of(session, queries.users_by_ids([])) == []
    assert await users_of(session, queries.user_names(ids)) == ["user_1", "user_2"]
    assert await users_of(session, queries.user_by_username("user_2")) == ["user_2"]
    assert await users_of(session, queries.user_by_email("user2@example.com")) == ["user_2"]
    assert await users_of(session, queries.user_by_username("user_3")) == [], "deleted"
    assert await users_of(session, queries.user_by_username("USER_2")) == []


async def test_users_with_failed_videos_have_those_alone(session: AsyncSession) -> None:
    query = queries.users_with_failed_videos(since=START)
    found = (await session.scalars(query)).unique().all()
    assert {user.username: [row.id for row in user.videos] for user in found} == {
        "user_1": [id_of(3)],
        "user_2": [id_of(6)],
    }
    assert await users_of(session, queries.users_with_failed_videos(since=START + HOUR)) == ["user_1"]
    assert await users_of(session, queries.users_with_failed_videos(since=START, until=START + DAY)) == ["user_2"]


async def test_users_with_more_completed_videos_than(session: AsyncSession) -> None:
    assert await users_of(session, queries.users_with_more_completed_videos_than(1)) == ["user_1"]
    assert await users_of(session, queries.users_with_more_completed_videos_than(2)) == []
    later = queries.users_with_more_completed_videos_than(0, since=START + HOUR)
    assert await users_of(session, later) == ["user_1"]
    assert await users_of(session, queries.users_with_more_completed_videos_than(1, since=START + HOUR)) == []


async def test_a_video_with_its_usage(session: AsyncSession) -> None:
    (found,) = (await session.scalars(queries.video_by_id(id_of(1)))).all()
    assert {fact.model_name for fact in found.model_usage} == {"speech-2", "render-1"}
    assert await numbers_of(session, queries.video_by_id(id_of(5))) == [], "deleted"
    assert await numbers_of(session, queries.video_by_id(id_of(10))) == [], "a placeholder"


async def test_videos_of_a_user_by_position(session: AsyncSession) -> None:
    assert await numbers_of(session, queries.videos_of_user(user_id(1))) == [4, 3, 2, 1]
    completed = queries.videos_of_user(user_id(1), status=VideoStatus.COMPLETED)
    assert await numbers_of(session, completed) == [2, 1]
    seen, position = [], None
    while page := (await session.scalars(queries.videos_of_user(user_id(1), after=position, limit=1))).all():
        seen += page
        position = queries.VideoPosition.from_token(queries.VideoPosition.of(page[-1]).to_token())
    assert [found.id for found in seen] == [id_of(number) for number in (4, 3, 2, 1)], "of two at one time, each once"


@pytest.mark.parametrize("token", ["", "?", "bm90IGEgcG9zaXRpb24=", "MjAyNi0wMS0wNSBub3BlIG5vcGU=", "é"])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        queries.VideoPosition.from_token(token)


async def test_videos_of_a_user_by_number_of_the_page(session: AsyncSession) -> None:
    page = await queries.page_of_videos_of_user(session, user_id(1), limit=2, offset=1)
    assert ([found.id for found in page.items], page.total) == ([id_of(3), id_of(2)], 4)
    beyond = await queries.page_of_videos_of_user(session, user_id(1), limit=2, offset=10)
    assert (beyond.items, beyond.total) == ([], 4)
    failed = await queries.page_of_videos_of_user(session, user_id(1), status=VideoStatus.FAILED)
    assert failed.total == len(failed.items) == 1


async def test_titles_alone(session: AsyncSession) -> None:
    found = (await session.scalars(queries.video_titles_of_user(user_id(1)))).all()
    assert [video.title for video in found] == ["Video 4", "Video 3", "Video 2", "Video 1"]
    assert "description" in inspect(found[0]).unloaded


async def test_the_newest_video_of_each_user(session: AsyncSession) -> None:
    """Of user 1 the newest is deleted, so it is the next; of two of one time, that with the greater id."""
    assert await numbers_of(session, queries.newest_video_of_each_user([user_id(1), user_id(2)])) == [4, 7]
    assert await numbers_of(session, queries.newest_video_of_each_user()) == [4, 7, 8]
    assert await numbers_of(session, queries.newest_video_of_each_user([])) == []


async def test_users_and_videos_by_status(session: AsyncSession) -> None:
    failed = (await session.execute(queries.users_and_videos_by_status(VideoStatus.FAILED))).all()
    assert [(user.username, video.id) for user, video in failed] == [("user_1", id_of(3)), ("user_2", id_of(6))]
    early = queries.users_and_videos_by_status(VideoStatus.FAILED, until=START + HOUR)
    assert [video.id for _, video in await session.execute(early)] == [id_of(6)]
    pending = queries.users_and_videos_by_status(VideoStatus.PENDING)
    assert (await session.execute(pending)).all() == [], "its user is a placeholder"


async def test_stuck_videos(session: AsyncSession) -> None:
    """Video 4 began on day 1, video 9 again on day 2, and of video 7 only its progress on day 2 is known."""
    now = START + 3 * DAY
    assert await numbers_of(session, queries.stuck_videos(timedelta(hours=1), now=now)) == [4, 7, 9]
    assert await numbers_of(session, queries.stuck_videos(timedelta(hours=25), now=now)) == [4]
    assert await numbers_of(session, queries.stuck_videos(timedelta(days=3), now=now)) == []
    by_the_clock_of_the_database = queries.stuck_videos(datetime.now(UTC) - START - DAY - HOUR)
    assert await numbers_of(session, by_the_clock_of_the_database) == [4]


async def test_large_files(session: AsyncSession) -> None:
    assert await numbers_of(session, queries.large_files()) == [1]
    assert await numbers_of(session, queries.large_files(since=START + HOUR)) == []
    assert await numbers_of(session, queries.large_files(user_id=user_id(2))) == []


async def test_completed_videos_by_user(session: AsyncSession) -> None:
    assert (await session.execute(queries.completed_videos_by_user())).all() == [(user_id(1), 2, 15.0)]
    assert (await session.execute(queries.completed_videos_by_user(at_least=3))).all() == []


async def test_daily_counts_by_status(session: AsyncSession) -> None:
    rows = (await session.execute(queries.daily_counts_by_status(until=START + 2 * DAY))).all()
    first, second = date(2026, 1, 5), date(2026, 1, 6)
    assert rows == [
        (first, VideoStatus.COMPLETED, 2),
        (first, VideoStatus.FAILED, 1),
        (first, VideoStatus.PENDING, 1),
        (second, VideoStatus.FAILED, 1),
        (second, VideoStatus.PROCESSING, 2),
    ]
    of_one = (await session.execute(queries.daily_counts_by_status(user_id=user_id(1)))).all()
    assert [row.videos for row in of_one] == [2, 1, 1]


async def test_days_are_those_of_utc(reader: Reader) -> None:
    late = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    await merge(reader.engine, user("created", 1), at(late, video("created", 1)), at(late, usage(1)))
    async with reader.session() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await (await session.connection()).exec_driver_sql("SET TIME ZONE 'Pacific/Auckland'")
        for query in (queries.daily_counts_by_status(), queries.daily_costs()):
            assert (await session.execute(query)).all()[0].day == date(2026, 1, 5)


async def test_failure_rates(session: AsyncSession) -> None:
    rows = (await session.execute(queries.failure_rates())).all()
    assert rows == [("no_voice", 1, 0.25), ("render_timeout", 1, 0.25)]
    assert (await session.execute(queries.failure_rates(since=START + DAY))).all() == [("render_timeout", 1, 1.0)]
    assert (await session.execute(queries.failure_rates(until=START))).all() == []


async def test_what_failed_on_a_day_for_one_user(reader: Reader) -> None:
    """By when they failed, not by when they were created; a video that is rendered again has not failed any more."""
    failed = (
        at(START + DAY, video("failed", 1, 3, error_code="no_voice")),
        at(START + 2 * DAY, video("failed", 2, 3, error_code="no_voice")),
        at(START + DAY, video("failed", 3, 2, error_code="render_timeout")),
        at(START + DAY + HOUR, video("failed", 4, 2, error_code="render_timeout")),
        at(START + DAY, video("failed", 5, 2, error_code="render_timeout")),
        at(START + DAY, video("failed", 6, 2, owner=2, error_code="no_voice")),
    )
    again = (at(START + DAY, video("processing", 5, 3)), at(START + DAY, video("deleted", 1, 4)))
    await merge(reader.engine, *(at(START, video("created", n)) for n in range(1, 6)), *again, *failed)
    query = queries.failures_of_user(user_id(1), since=START + DAY, until=START + 2 * DAY)
    async with reader.session() as session:
        assert (await session.execute(query)).all() == [("render_timeout", 2, START + DAY + HOUR)]
        deleted_too = query.execution_options(include_deleted=True)
        assert ("no_voice", 1, START + DAY) in (await session.execute(deleted_too)).all()


async def test_percentiles(session: AsyncSession) -> None:
    """Of 10 s and 20 s, interpolated."""
    assert (await session.execute(queries.processing_time_percentiles())).all() == [(2, 15.0, 19.5)]
    assert (await session.execute(queries.processing_time_percentiles(user_id=user_id(2)))).all() == [(0, None, None)]


async def test_costs(session: AsyncSession) -> None:
    assert (await session.execute(queries.costs_by_model())).all() == [
        ("render-1", 1, Decimal("1.25"), 5, 0),
        ("speech-2", 3, Decimal("0.75"), 17, 1),
    ]
    assert (await session.execute(queries.costs_by_model(user_id=user_id(2)))).all() == [
        ("speech-2", 2, Decimal("0.25"), 7, 0)
    ]
    assert (await session.execute(queries.costs_by_user())).all() == [
        (user_id(1), 2, Decimal("1.75"), 15, 1),
        (user_id(2), 2, Decimal("0.25"), 7, 0),
    ]
    assert (await session.execute(queries.daily_costs())).all() == [
        (date(2026, 1, 5), 1, Decimal("0.5")),
        (date(2026, 1, 6), 3, Decimal("1.5")),
    ]
    of_one = queries.daily_costs(since=START + DAY, user_id=user_id(1))
    assert (await session.execute(of_one)).all() == [(date(2026, 1, 6), 1, Decimal("1.25"))]
