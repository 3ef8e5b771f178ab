"""Erasing people in PostgreSQL: who is erased, and what is done to the rows that are there.

A batch first asks whom of its users are erased, and holds the table of them until it commits. Who erases has that table
alone. So a batch either finds the person erased, or has its rows erased. It is a table and not an advisory lock for the
same reason as in `.parking`, and its modes let everybody read, a dump too.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.transform.erased_people import ERASED_TIME, digest_of
from reelsync.events import ERASED_VERSION
from reelsync.models import Video
from reelsync.models.facets import FORMER_OWNERS, version_column
from reelsync.models.upsert import JsonText

_ROWS_AT_ONCE = 5_000

# FOR KEY SHARE, so that the statement locks the table as one that writes, and waits for who erases before it looks. A
# row of NULL says that anybody is erased at all.
_KNOWN = text(
    """
    WITH found AS MATERIALIZED (
      SELECT digest FROM erased_users
       WHERE digest IN (SELECT CAST(d AS uuid) FROM json_array_elements_text(:digests) AS j(d))
         FOR KEY SHARE)
    SELECT digest FROM found UNION ALL (SELECT NULL FROM erased_users LIMIT 1)
    """
).bindparams(bindparam("digests", type_=JsonText()))
_LOCK = text("LOCK TABLE erased_users IN EXCLUSIVE MODE")
_REMEMBER = text(
    """
    INSERT INTO erased_users (digest, because)
    SELECT digest, :because FROM unnest(CAST(:digests AS uuid[])) AS r(digest) ON CONFLICT DO NOTHING
    """
)
_THEIR_VIDEOS = text(
    """
    SELECT id FROM videos WHERE (user_id = ANY(:ids) AND version > 0) OR former_owners && CAST(:ids AS uuid[])
     ORDER BY id LIMIT :at_once FOR UPDATE
    """
)
_HAVE_STATES = text("SELECT EXISTS (SELECT FROM video_states WHERE video_id = ANY(:videos))")
_DELETE_STATES = text("DELETE FROM video_states WHERE video_id = ANY(:videos)")
_RELEASE_PLACEHOLDERS = text("UPDATE videos SET user_id = NULL WHERE version = 0 AND user_id = ANY(:ids)")
_ANONYMIZE_FACTS = text(
    """
    UPDATE model_usage SET user_id = '00000000-0000-0000-0000-000000000000'
     WHERE id = ANY(ARRAY(SELECT id FROM model_usage WHERE user_id = ANY(:ids) ORDER BY id LIMIT :at_once FOR UPDATE))
    """
)
_DELETE_PROFILES = text("DELETE FROM user_profiles WHERE user_id = ANY(:ids)")
_DELETE_USERS = text("DELETE FROM users WHERE id = ANY(:ids)")


class Erased(NamedTuple):
    """Who was erased in a transaction: their letters are blanked last."""

    people: Collection[str] = ()
    aggregates: Collection[str] = ()
    """Users and videos whose rows are erased, but stay."""


class Step(NamedTuple):
    """What one statement of an erasure did."""

    table: str
    rows: int
    videos: Collection[str] = ()
    """The ids of the videos that it erased."""


class ErasedPeople:
    """Finds which users of a batch are erased. While nobody was ever erased, the query costs little."""

    def __init__(self) -> None:
        self._are_any = False

    async def among(self, connection: AsyncConnection, user_ids: Iterable[str]) -> set[str]:
        """The users among these who are erased. Until the transaction ends, no others can be erased."""
        by_digest = {digest_of(user_id): user_id for user_id in user_ids} if self._are_any else {}
        parameters = {"digests": orjson.dumps(list(by_digest)).decode()}
        found = await connection.scalars(_KNOWN, parameters, execution_options={"query_name": "erasure.known"})
        digests = set(found)
        if digests and not self._are_any:
            self._are_any = True
            return await self.among(connection, user_ids)
        return {by_digest[str(digest)] for digest in digests - {None}}


async def lock_alone(connection: AsyncConnection) -> None:
    """Wait for all batches that have looked up erased users, and keep other batches from doing so."""
    await connection.execute(_LOCK, execution_options={"query_name": "erasure.lock"})


async def erase_people(
    connection: AsyncConnection, user_ids: Collection[str], because: str | None = None
) -> AsyncIterator[Step]:
    """Erase the rows of these users, their profiles and videos, and their ids in facts. Their letters are left to do.

    The caller has called `lock_alone`, at least until the first step, which remembers who is erased. From then on
    nobody writes of them, so the caller may commit after any step, and do all of them again.
    """
    ids = sorted(map(UUID, user_ids))

    async def run(statement: Any, name: str, **more: Any) -> int:
        done = await connection.execute(statement, {"ids": ids, **more}, execution_options={"query_name": name})
        return done.rowcount

    digests = {"digests": sorted(map(digest_of, user_ids)), "because": because}
    remembered = await connection.execute(_REMEMBER, digests, execution_options={"query_name": "erasure.remember"})
    yield Step("erased_users", remembered.rowcount)
    while videos := await _their_videos(connection, ids):
        await run(_ERASE_VIDEOS, "erasure.videos", videos=videos)
        states = await delete_states(connection, videos)
        yield Step("videos", len(videos), [str(video) for video in videos])
        yield Step("video_states", states)
    yield Step("videos", await run(_RELEASE_PLACEHOLDERS, "erasure.videos"))
    while changed := await run(_ANONYMIZE_FACTS, "erasure.facts", at_once=_ROWS_AT_ONCE):
        yield Step("model_usage", changed)
    yield Step("user_profiles", await run(_DELETE_PROFILES, "erasure.profiles"))
    yield Step("users", await run(_DELETE_USERS, "erasure.users"))


async def delete_states(connection: AsyncConnection, videos: Collection[UUID | str]) -> int:
    """Delete the states of erased videos, whose rows the caller has locked; how many.

    It looks first: where no states are kept, a role without the right to delete them may erase videos.
    """
    ids, options = {"videos": videos}, {"query_name": "erasure.states"}
    if not await connection.scalar(_HAVE_STATES, ids, execution_options=options):
        return 0
    return (await connection.execute(_DELETE_STATES, ids, execution_options=options)).rowcount


async def _their_videos(connection: AsyncConnection, ids: list[UUID]) -> list[UUID]:
    parameters = {"ids": ids, "at_once": _ROWS_AT_ONCE}
    found = await connection.scalars(_THEIR_VIDEOS, parameters, execution_options={"query_name": "erasure.videos"})
    return list(found)


def _erase_videos() -> Any:
    """The update that makes of videos what an event of an erased person makes of them."""
    merge = Video.__merge__
    columns = [*merge.with_version, FORMER_OWNERS, *(name for of in merge.facets.values() for name in of)]
    changes = dict.fromkeys(columns, "NULL")
    changes |= {name: str(ERASED_VERSION) for name in (merge.version, *map(version_column, merge.facets))}
    changes |= dict.fromkeys(("deleted_at", "updated_at"), f"'{ERASED_TIME.isoformat()}'")
    assignments = ", ".join(f"{name} = {value}" for name, value in changes.items())
    return text(f"UPDATE videos SET {assignments} WHERE id = ANY(:videos)")  # noqa: S608 - names of columns


_ERASE_VIDEOS = _erase_videos()
