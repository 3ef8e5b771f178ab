"""How many statements a query sends: as many for a thousand rows as for one."""

from inspect import isclass

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import InvalidRequestError

from reelsync.models import Base, User, queries
from tests.queries.cases import CASES, Sample
from tests.queries.filling import BEGIN, Filled, user_id, video_id
from tests.queries.reader import reading, run


def test_every_query_is_tried() -> None:
    functions = {name for name in queries.__all__ if not isclass(getattr(queries, name))}
    assert functions == {case.query for case in CASES}


def test_every_query_says_what_it_sends() -> None:
    for case in CASES:
        assert "SELECT" in (getattr(queries, case.query).__doc__ or ""), case.query


@pytest.mark.parametrize("users", [1, 10, 1000])
async def test_the_number_of_statements_does_not_grow(filled: Filled, users: int) -> None:
    async with reading(await filled(users, users * 10)) as reader:
        sample = Sample(
            ids=[user_id(number) for number in range(1, users + 1)],
            video_id=video_id(5),
            position=queries.VideoPosition(BEGIN.replace(year=2027), video_id(1)),
        )
        for case in CASES:
            async with reader.session() as session:
                reader.sent.clear()
                rows = await run(session, case, sample)
                _walk(rows)
            assert len(reader.sent) == case.statements, f"{case}: {reader.sent}"
            if case.query in {"users_with_videos", "users_by_ids"}:
                # Every fiftieth is deleted, every seventieth a placeholder.
                assert len(rows) == sum(1 for number in range(1, users + 1) if number % 50 and number % 70), str(case)


def _walk(rows: list[object]) -> None:
    """Look at everything that the query promises to have loaded."""
    for row in rows:
        for entity in row if isinstance(row, tuple) else (row,):
            if isinstance(entity, Base):
                loaded = inspect(entity).dict
                for related in (value for name, value in loaded.items() if name in inspect(type(entity)).relationships):
                    for other in related if isinstance(related, list) else [related]:
                        assert other is None or other.to_dict()


async def test_what_was_not_loaded_raises(filled: Filled) -> None:
    """A negative control of the walk above: a lazy load does not pass unseen."""
    async with reading(await filled(1, 10)) as reader, reader.session() as session:
        user = (await session.scalars(queries.active_users())).one()
        for name in ("videos", "profile"):
            with pytest.raises(InvalidRequestError, match="raise_on_sql"):
                getattr(user, name)
            with pytest.raises(InvalidRequestError, match="raise_on_sql"):
                await getattr(user.awaitable_attrs, name)


async def test_columns_left_out_raise(filled: Filled) -> None:
    async with reading(await filled(1, 10)) as reader, reader.session() as session:
        video = (await session.scalars(queries.video_titles_of_user(user_id(1)))).first()
        assert video is not None
        assert video.title
        with pytest.raises(InvalidRequestError, match="raiseload"):
            _ = video.description
        named: User = (await session.scalars(queries.user_names([user_id(1)]))).one()
        assert named.username == "user_1"
        with pytest.raises(InvalidRequestError, match="raiseload"):
            _ = named.email
