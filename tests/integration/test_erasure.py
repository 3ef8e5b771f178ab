"""Tombstones erase for good: rows, profiles, and the dead letters of the aggregate, before or after they come."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.records import Partition
from reelsync.consumer.sink.erasure import Erased, ErasedPeople
from reelsync.consumer.sink.parking import settle
from reelsync.consumer.transform.decode import Rejection
from reelsync.events import ERASED_VERSION
from reelsync.models.engine import create_engine
from tests.support.builders import an_id, record, user, video
from tests.support.roles import TEST_SCHEMA
from tests.support.writing import GROUP, snapshot, write_all

USER, VIDEO = an_id(1001), an_id(1)
AT = 1_767_607_200_000
LIFE = [record(user("created"), topic="user-events"), record(user("profile_updated", version=2), topic="user-events")]
POISON = record(b"not json", key=USER.encode(), topic="user-events", headers=(("secret", b"personal"),))
TOMBSTONE = record(None, key=USER.encode(), topic="user-events", timestamp=AT)


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    yield engine
    await engine.dispose()


async def write(engine: AsyncEngine, *parts: list[Any]) -> None:
    offset = 0
    for part in parts:
        for item in part:
            item.offset = offset
            offset += 1
    await write_all(engine, parts, Partition("user-events", 0))


async def letter(engine: AsyncEngine) -> dict[str, Any]:
    async with engine.connect() as connection:
        return dict((await connection.execute(text("SELECT * FROM dead_letters"))).mappings().one())


async def test_a_letter_whose_aggregate_is_known_only_later_is_blanked_with_it(engine: AsyncEngine) -> None:
    """A limit was raised, say: what was too long to be looked into has a reader now, and names its user."""
    unread = Rejection(record(user("created", username="-"), key=None, topic="user-events"), "decode", "too_large", {})
    read = unread._replace(stage="validate", reason="invalid", event_type="user.created", aggregate_id=UUID(USER))
    for verdict in (unread, read, unread):
        async with engine.begin() as connection:
            await settle(connection, GROUP, [verdict], Erased(), ErasedPeople())
    assert ((await letter(engine))["aggregate_id"], (await letter(engine))["event_type"]) == (
        UUID(USER),
        "user.created",
    )
    await write(engine, [TOMBSTONE])
    assert (await letter(engine))["value"] is None


async def test_an_erased_user_keeps_nothing_personal_and_cannot_come_back(engine: AsyncEngine) -> None:
    await write(engine, LIFE, [TOMBSTONE], [record(user("updated", version=3), topic="user-events")])
    tables = await snapshot(engine)
    erased, profile = tables["users"][USER], tables["user_profiles"][USER]
    assert {erased[name] for name in ("username", "email", "avatar_url", "last_login_at")} == {None}
    assert (erased["is_active"], erased["preferences"], erased["is_deleted"]) == (True, {}, True)
    assert erased["version"] == erased["account_version"] == profile["profile_version"] == ERASED_VERSION + AT
    assert {profile[name] for name in ("full_name", "company", "locale", "timezone", "bio")} == {None}


async def test_a_tombstone_that_comes_first_makes_rows_that_stay_erased(engine: AsyncEngine) -> None:
    await write(engine, [TOMBSTONE], LIFE)
    tables = await snapshot(engine)
    assert tables["users"][USER]["username"] is None
    assert tables["user_profiles"][USER]["full_name"] is None


async def test_an_erased_video_has_no_owner(engine: AsyncEngine) -> None:
    await write(engine, [record(video("created"))], [record(None, key=VIDEO.encode(), timestamp=AT)])
    erased = (await snapshot(engine))["videos"][VIDEO]
    assert (erased["user_id"], erased["title"], erased["status"]) == (None, None, None)


@pytest.mark.parametrize("order", [[[POISON], [TOMBSTONE]], [[TOMBSTONE], [POISON]], [[POISON, TOMBSTONE]]])
async def test_the_letters_of_an_erased_user_are_blank_whatever_came_first(
    engine: AsyncEngine, order: list[list[Any]]
) -> None:
    await write(engine, *order)
    parked = await letter(engine)
    assert (parked["key"], parked["value"], parked["headers"]) == (None, None, None)
    assert (str(parked["aggregate_id"]), parked["state"], parked["reason"]) == (USER, "parked", "not_json")


async def test_the_letters_of_others_keep_every_byte(engine: AsyncEngine) -> None:
    other = record(b"\x00\xff not json", key=b"\xfe", topic="user-events", headers=(("a", None), ("a", b"\x00\xff")))
    await write(engine, [other, TOMBSTONE])
    parked = await letter(engine)
    assert (parked["key"], parked["value"]) == (b"\xfe", b"\x00\xff not json")
    assert parked["headers"] == [[b"a", None], [b"a", b"\x00\xff"]]


@pytest.mark.parametrize(("timestamp", "clamped"), [(-1, 0), (10**17, 7_258_118_400_000)])
async def test_timestamps_that_no_row_could_hold_are_clamped(engine: AsyncEngine, timestamp: int, clamped: int) -> None:
    await write(engine, [record(None, key=USER.encode(), topic="user-events", timestamp=timestamp)])
    assert (await snapshot(engine))["users"][USER]["version"] == ERASED_VERSION + clamped
