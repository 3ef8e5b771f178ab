"""What the constraints of the tables let no row hold, and which names may be the same."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from reelsync.consumer.postgres.sqlstate import constraint, sqlstate
from reelsync.models import User
from tests.support.orm_rows import LONG_AGO, a_user, count


@pytest.mark.parametrize(
    ("same", "name"), [({"username": "bob"}, "uq_users_username"), ({"email": "bob@example.com"}, "uq_users_email")]
)
async def test_a_name_is_unique_while_its_user_is_not_deleted(session: AsyncSession, same: Any, name: str) -> None:
    gone, bob = a_user("bob", deleted_at=LONG_AGO), a_user("bob")
    session.add_all([gone, bob])
    await session.commit()
    with pytest.raises(DBAPIError) as caught:
        async with session.begin_nested():
            session.add(a_user("rob", **same))
    assert (sqlstate(caught.value), constraint(caught.value)) == ("23P01", name)
    with pytest.raises(DBAPIError) as caught:
        async with session.begin_nested():
            await session.execute(text("UPDATE users SET deleted_at = NULL"))
    assert sqlstate(caught.value) == "23P01"
    await session.execute(text("UPDATE users SET deleted_at = now()"))
    session.add(a_user("rob", **same))
    await session.commit()


async def test_names_can_be_swapped_in_one_statement(session: AsyncSession) -> None:
    bob, rob = a_user("bob"), a_user("rob")
    session.add_all([bob, rob])
    await session.commit()
    await session.execute(text("UPDATE users SET username = CASE username WHEN 'bob' THEN 'rob' ELSE 'bob' END"))
    await session.commit()
    await session.refresh(bob)
    assert bob.username == "rob"


async def test_users_without_names_do_not_collide(session: AsyncSession) -> None:
    session.add_all([User(id=uuid4()), User(id=uuid4())])
    await session.commit()
    assert await count(session, User) == 2


VIDEO = "INSERT INTO videos (id, version, {}) VALUES (gen_random_uuid(), 4611686018427387904, {})"
LETTER = (
    "INSERT INTO dead_letters VALUES ('g', 't', 0, 0, 0, 0, NULL, NULL, NULL, {}, 'r', '{{}}', NULL, NULL, NULL, 1, {})"
)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("INSERT INTO users (id, username) VALUES (gen_random_uuid(), 'no spaces')", "ck_users_username_format"),
        ("INSERT INTO users (id, username) VALUES (gen_random_uuid(), 'ab')", "ck_users_username_format"),
        ("INSERT INTO videos (id, version) VALUES (gen_random_uuid(), 1)", "ck_videos_owner_or_erased"),
        (VIDEO.format("status", "'done'"), "ck_videos_status"),
        (VIDEO.format("progress", "101"), "ck_videos_progress"),
        (VIDEO.format("progress", "-1"), "ck_videos_progress"),
        ("INSERT INTO consumer_offsets (consumer_group, topic, partition, next_offset) VALUES ('g', 't', 0, -1)", None),
        (LETTER.format("'sent'", "'parked'"), "ck_dead_letters_stage"),
        (LETTER.format("'write'", "'lost'"), "ck_dead_letters_state"),
    ],
)
async def test_the_database_refuses_what_no_row_may_hold(session: AsyncSession, change: str, name: str | None) -> None:
    with pytest.raises(DBAPIError) as caught:
        await session.execute(text(change))
    assert (sqlstate(caught.value), constraint(caught.value)) == ("23514", name or "ck_consumer_offsets_next_offset")
