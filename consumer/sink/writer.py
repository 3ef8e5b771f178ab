"""One batch in one transaction: the fence, the rows, the dead letters, COMMIT.

Nothing is tried again here. After an error the outcome is unknown, and the caller looks at the stored positions.
"""

from collections.abc import Collection, Iterable, Sequence
from time import perf_counter
from typing import Any

import orjson
from sqlalchemy import Select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.observer import Written
from reelsync.consumer.offsets.store import create_positions, fence
from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import Located, Rejection
from reelsync.consumer.transform.erased_people import without_person
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, Plan, plan
from reelsync.models import User, UserProfile, Video
from reelsync.models.upsert import INSERT_MODEL_USAGE, INSERT_VIDEO_STATES, ROWS, UPSERTS, select_known

from .erasure import Erased, ErasedPeople, delete_states, erase_people, lock_alone
from .known_ids import KnownIds
from .parking import settle
from .refusals import free, refusal, without_conflicts

_STATEMENTS = {
    "users": UPSERTS[User],
    "user_profiles": UPSERTS[UserProfile],
    "videos": UPSERTS[Video],
    "model_usage": INSERT_MODEL_USAGE,
    "video_states": INSERT_VIDEO_STATES,
}
_LOCKED = text("LOCK TABLE consumer_offsets, users, videos, dead_letters IN ROW EXCLUSIVE MODE NOWAIT")
"""The lock of every write. It is refused if it would have to wait."""
_REFUSED = (Verdict.DATA,)
_TOO_SLOW = (Verdict.DATA, Verdict.HALVE)
"""What an event is parked for."""
_SELECT_KNOWN_USERS = select_known(User)
_SELECT_KNOWN_VIDEOS = select_known(Video)


class BatchWriter:
    """Writes batches for one consumer group."""

    def __init__(self, engine: AsyncEngine, group: str, fold_type: type[Fold] = Fold) -> None:
        self._engine = engine
        self._group = group
        self._fold_type = fold_type
        self.attempted = Written()
        """What the latest transaction wrote if it was committed, while that is not known."""
        self._known_users = KnownIds()
        self._known_videos = KnownIds()
        self._people = ErasedPeople()

    async def write(self, batch: Batch, *, carefully: bool = False, too_slow: bool = False) -> Written:
        """Commit the batch. `carefully` looks for the events that the database refuses, and parks only those.

        `too_slow` does the same, and also parks an event that is refused alone because it is too slow or too big.

        Raises:
            FencedError: the positions are not where the batch began; nothing was written.
            Exception: anything else; whether the batch was committed is unknown.
        """
        written = self.attempted = Written(rejections=list(batch.rejections))
        started = perf_counter()
        refusing = _TOO_SLOW if too_slow else _REFUSED if carefully else ()
        try:
            async with self._engine.connect() as connection:
                try:
                    planned = await self._write(connection, batch, written, refusing)
                    written.write_seconds = perf_counter() - started
                    await connection.commit()
                    written.commit_seconds = perf_counter() - started - written.write_seconds
                except BaseException:
                    await connection.invalidate()
                    raise
        except BaseException:
            self.forget()
            raise
        if not refusing:
            # Only then: the row of an event that was refused may not exist.
            self._remember(planned)
        self.attempted = Written()
        return written

    async def rehearse(self, batch: Batch) -> None:
        """Do what `write` does with a batch of partitions that have no positions yet, and undo it.

        An event that a constraint of somebody else refuses is parked, as it would be.

        Raises:
            Exception: the database refuses it, or somebody has locked one of its tables.
        """
        async with self._engine.connect() as connection:
            await connection.execute(_LOCKED, execution_options={"query_name": "rehearsal.lock"})
            starts = {partition: span.start for partition, span in batch.spans.items()}
            await create_positions(connection, self._group, None, starts)
            await self._write(connection, batch, Written(rejections=list(batch.rejections)), _REFUSED)
            await connection.rollback()

    async def _write(
        self, connection: AsyncConnection, batch: Batch, written: Written, refusing: Collection[Verdict]
    ) -> Plan:
        """All of the transaction but its end. Returns what was planned."""
        await fence(connection, self._group, batch.spans, batch.anchors)
        planned = batch.plan
        people, erased = await self._erase(connection, planned)
        events = _without(batch.events, people) if people or refusing else []
        if people:
            planned = self._plan_of(events)
        if refusing:
            await self._merge_carefully(connection, events, written, refusing)
        else:
            await self._merge(connection, planned, written)
        erased = erased._replace(aggregates=[*erased.aggregates, *planned.erased])
        await settle(connection, self._group, written.rejections, erased, self._people)
        return planned

    def forget(self) -> None:
        """Forget which rows exist, because the database may be another one, or may have lost transactions."""
        self._known_users.clear()
        self._known_videos.clear()

    async def merge(self, connection: AsyncConnection, events: Iterable[Located]) -> None:
        """Merge events inside the caller's transaction. None of them erases anybody."""
        events = list(events)
        planned = self._plan_of(events)
        people, _ = await self._erase(connection, planned)
        await self._merge(connection, self._plan_of(_without(events, people)) if people else planned, Written())

    async def merge_carefully(
        self, connection: AsyncConnection, events: Sequence[Located]
    ) -> tuple[list[Rejection], Erased]:
        """Merge events inside the caller's transaction; returns the refused events, and whose letters are to blank."""
        written = Written()
        planned = self._plan_of(events)
        people, erased = await self._erase(connection, planned)
        if people:
            events = _without(events, people)
            planned = self._plan_of(events)
        await self._merge_carefully(connection, events, written, _REFUSED)
        return written.rejections, erased._replace(aggregates=[*erased.aggregates, *planned.erased])

    async def _erase(self, connection: AsyncConnection, planned: Plan) -> tuple[set[str], Erased]:
        """Erase the people whom events of the plan erase. Whom of all that it names are erased, and what that did."""
        if not planned.erased_people:
            return await self._people.among(connection, planned.user_ids), Erased()
        await lock_alone(connection)
        steps = [step async for step in erase_people(connection, planned.erased_people)]
        videos = [video for step in steps for video in step.videos]
        people = planned.erased_people | await self._people.among(connection, planned.user_ids)
        return people, Erased(planned.erased_people, videos)

    async def _merge(self, connection: AsyncConnection, planned: Plan, written: Written) -> None:
        users, videos = planned.referenced_users(), planned.referenced_videos()
        missing = Missing(
            await _missing(connection, _SELECT_KNOWN_USERS, "users.known", self._known_users, users),
            await _missing(connection, _SELECT_KNOWN_VIDEOS, "videos.known", self._known_videos, videos),
        )
        for statement in planned.statements(missing):
            result = await connection.execute(
                _STATEMENTS[statement.table],
                {ROWS: statement.rows},
                execution_options={"query_name": f"{statement.table}.merge"},
            )
            written.count(statement.table, statement.row_count, result.rowcount)
        if planned.erased:
            await delete_states(connection, planned.erased)

    async def _merge_carefully(
        self,
        connection: AsyncConnection,
        events: Sequence[Located],
        written: Written,
        refusing: Collection[Verdict],
    ) -> None:
        """Merge what can be merged, by bisection: keep what succeeds and halve what fails.

        An event that fails alone is refused. The merge gives the same rows for every cut of a log, so the result is
        that of one statement; k refused events of n cost O(k log n) attempts. Name conflicts, of which there may be
        many, are found before.
        """
        events, refused = await without_conflicts(connection, events)
        written.rejections += refused
        waiting = [events]
        while waiting:
            part = waiting.pop()
            if not part:
                continue
            attempt = Written()
            try:
                async with connection.begin_nested():
                    await self._merge(connection, self._plan_of(part), attempt)
            except DBAPIError as error:
                if classify(error) not in refusing:
                    raise
                if len(part) == 1:
                    written.rejections.append(refusal(part[0], error))
                else:
                    waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
                free(error)
            else:
                for table, sent in attempt.sent.items():
                    written.count(table, sent, attempt.changed[table])

    def _plan_of(self, events: Iterable[Located]) -> Plan:
        return plan(self._fold_type(located.event for located in events))

    def _remember(self, planned: Plan) -> None:
        self._known_users.add(planned.rows["users"])
        self._known_users.add(planned.user_references)
        self._known_videos.add(planned.rows["videos"])
        self._known_videos.add(planned.video_references)


def _without(events: Sequence[Located], people: Collection[str]) -> Sequence[Located]:
    """The events as they are once these users are erased."""
    if not people:
        return events
    return [Located(record, kept) for record, event in events for kept in without_person(event, people)]


async def _missing(
    connection: AsyncConnection,
    statement: Select[Any],
    query_name: str,
    known: KnownIds,
    referenced: Iterable[str],
) -> Collection[str]:
    """The referenced ids that are neither in the cache nor in the table."""
    candidates = known.unknown(referenced)
    if not candidates:
        return ()
    ids = orjson.dumps(candidates).decode()
    found = await connection.scalars(statement, {"ids": ids}, execution_options={"query_name": query_name})
    existing = {str(row_id) for row_id in found}
    return [candidate for candidate in candidates if candidate not in existing]
