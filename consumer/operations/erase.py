"""Erasing a person on an operator's word: the same as a `user.erased` does, in small transactions.

The first transaction remembers who is erased; from then on consumers write nothing of that person. The others remove
what is there. So it may be stopped at any time, and is finished by doing it again.
"""

from collections import Counter
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.postgres.sqlstate import Verdict, classify, describe
from reelsync.consumer.sink.erasure import ErasedPeople, erase_people, lock_alone
from reelsync.consumer.sink.parking import blank_erased, count_of_people, forget_people, lock

_ATTEMPTS = 20
_NAMED = {"query_name": "erasure.count"}
_COUNTS = text(
    """
    SELECT 'users', count(*) FROM users WHERE id = :id
    UNION ALL SELECT 'user_profiles', count(*) FROM user_profiles WHERE user_id = :id
    UNION ALL SELECT 'videos', count(*) FROM videos
               WHERE (user_id = :id AND version > 0) OR former_owners && ARRAY[CAST(:id AS uuid)]
    UNION ALL SELECT 'videos_of_others', count(*) FROM videos WHERE former_owners && ARRAY[CAST(:id AS uuid)]
    UNION ALL SELECT 'video_states', count(*) FROM video_states s JOIN videos v ON v.id = s.video_id
               WHERE (v.user_id = :id AND v.version > 0) OR v.former_owners && ARRAY[CAST(:id AS uuid)]
    UNION ALL SELECT 'model_usage', count(*) FROM model_usage WHERE user_id = :id
    """
)


async def count_rows(engine: AsyncEngine, user_id: str) -> dict[str, int]:
    """What an erasure would find, by table; `videos_of_others` are those of `videos` that have another owner by now."""
    async with engine.connect() as connection:
        found = await connection.execute(_COUNTS, {"id": UUID(user_id)}, execution_options=_NAMED)
        counts = {str(table): int(rows) for table, rows in found}
        erased = await ErasedPeople().among(connection, [user_id])
        return counts | {"dead_letters": await count_of_people(connection, [user_id]), "erased_before": len(erased)}


async def erase(
    engine: AsyncEngine, user_id: str, because: str | None, tell: Callable[[int], object] = lambda _rows: None
) -> Counter[str]:
    """Erase a person; returns the number of rows that were changed or deleted, by table.

    `tell` is called after each transaction with the number of rows so far.

    Raises:
        ReelsyncError: others were in the way again and again. What was committed stays, and doing it again goes on.
        Exception: the database cannot be used; likewise.
    """
    done: Counter[str] = Counter()
    backoff = Backoff()
    while True:
        try:
            async with engine.connect() as connection:
                await _erase(connection, user_id, because, done, tell)
        except Exception as error:
            if classify(error) is not Verdict.AGAIN:
                raise
            if backoff.attempts >= _ATTEMPTS:
                message = (
                    f"the person could not be erased in {_ATTEMPTS} attempts ({describe(error)}): see "
                    "pg_stat_activity for what holds the rows, and run the command again, which goes on"
                )
                raise ReelsyncError(message) from error
        else:
            return done
        await backoff.wait()


async def _erase(
    connection: AsyncConnection, user_id: str, because: str | None, done: Counter[str], tell: Callable[[int], object]
) -> None:
    await lock_alone(connection)
    async for step in erase_people(connection, [user_id], because):
        if step.videos:
            await lock(connection, alone=True)
            done["dead_letters"] += await blank_erased(connection, set(map(UUID, step.videos)))
        await connection.commit()
        done[step.table] += step.rows
        tell(done.total())
    done["dead_letters"] += await forget_people(connection, [user_id])
    await connection.commit()
    tell(done.total())
