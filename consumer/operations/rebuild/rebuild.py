"""Replaying the log into shadow tables, and replacing the rows that differ in one transaction.

The replay ends at the positions of the group, for its consumers apply the rest. Only the last step changes tables that
readers see. So a rebuild can be stopped at any time and resumed, and consumers may run meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.offsets.store import all_positions
from reelsync.consumer.operations.obstacles import IncompleteError
from reelsync.consumer.operations.standing import judge
from reelsync.consumer.postgres.sqlstate import Verdict, classify
from reelsync.consumer.records import Partition, Span

from . import shadow_tables
from .dead_letters import add_letters, park_corrections
from .differences import note_differences
from .erased_people import copy_erased, erase_in_shadow, erase_in_use
from .replacement import Replaced, hold, replace_rows, total
from .replay import Filling

__all__ = ["Rebuild", "Rebuilt", "Replaced", "discard", "total"]

_LOCK = text("SELECT pg_try_advisory_lock(hashtext('reelsync.rebuild'))")
_LOCK_TO_DISCARD = text("SELECT pg_try_advisory_xact_lock(hashtext('reelsync.rebuild'))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('reelsync.rebuild'))")
_RUNNING = "another rebuild of this database is running"
_SMALL_REST = 5_000
_ROUNDS = 20
_ATTEMPTS = 5


@dataclass
class Rebuilt:
    """What a rebuild read and did."""

    resumed: bool = False
    """Whether it resumed an interrupted rebuild, or used the tables of a dry run."""
    records: int = 0
    dead_letters: int = 0
    parked_again: int = 0
    """Redriven corrections that are parked again, because the log does not contain them."""
    tables: list[Replaced] = field(default_factory=list)


@dataclass
class Rebuild:
    """One rebuild. `engine` connects to the tables in use, the filling's engine to the shadow: both as the owner.

    Args:
        exactly: Also remove what is not in the log: rows, newer facets, corrections by hand.
        apply: Whether to replace the rows, or only to report which ones would be replaced.
    """

    engine: AsyncEngine
    filling: Filling
    revision: str
    topics: Mapping[str, int]
    """Topics to read, with their numbers of partitions."""
    decoding: Mapping[str, object]
    """The settings that decoding depends on, as JSON. A shadow that was decoded with others is made again."""
    exactly: bool = False
    apply: bool = True
    restart: bool = False
    expect: Callable[[int], object] = lambda _records: None
    """Called with the number of records that are still to be read."""
    result: Rebuilt = field(default_factory=Rebuilt)

    async def run(self) -> Rebuilt:
        """Rebuild.

        Raises:
            ReelsyncError: another rebuild is running, the group has consumed nothing, or names clash.
            IncompleteError: partitions cannot be read whole.
            KafkaFailedError: the brokers did not do as asked.
            Exception: the database failed; no table in use was changed.
        """
        async with self.engine.connect() as connection:
            if not await connection.scalar(_LOCK, execution_options={"query_name": "rebuild.lock"}):
                raise ReelsyncError(_RUNNING)
            await connection.commit()
            try:
                await self._prepare()
                await copy_erased(connection, await shadow_tables.live_schema(connection))
                await connection.commit()
                await self._fill(connection)
                live = await shadow_tables.live_schema(connection)
                await erase_in_shadow(connection, live)
                await shadow_tables.analyze(connection)
                await connection.commit()
                await note_differences(connection, live, self._tables)
                await connection.commit()
                await self._fill(connection)
                await self._replace(connection, live)
                if self.apply:
                    await shadow_tables.discard(connection)
                    await connection.commit()
            finally:
                await connection.rollback()
                await connection.execute(_UNLOCK, execution_options={"query_name": "rebuild.lock"})
                await connection.commit()
        self.result.dead_letters = self.filling.dead_letters
        return self.result

    async def _prepare(self) -> None:
        """Make the shadow, or resume it. It is made again if its log is no longer the same."""
        what: dict[str, object] = {
            "revision": self.revision,
            "group": self.filling.group,
            "cluster": self.filling.cluster_id,
            "topics": dict(self.topics),
            "decoding": dict(self.decoding),
        }
        async with self.filling.engine.begin() as connection:
            self.result.resumed = await shadow_tables.prepare(connection, what, restart=self.restart)
            if self.result.resumed and await self._is_outdated(connection):
                self.result.resumed = await shadow_tables.prepare(connection, what, restart=True)

    async def _is_outdated(self, connection: AsyncConnection) -> bool:
        """Whether a position of the shadow no longer fits its log, by the rule that halts a consumer's partition."""
        filling = self.filling
        stored = await all_positions(connection, filling.group)
        if not stored:
            return False
        _, halts = await judge(filling.log, filling.cluster_id, stored, stored)
        return any(halt.is_for_reset for halt in halts.values())

    async def _goals(self, connection: AsyncConnection) -> dict[Partition, int]:
        stored = await all_positions(connection, self.filling.group)
        await connection.rollback()
        goals = {place: position.next_offset for place, position in stored.items() if self._is_read(place)}
        if not goals:
            raise ReelsyncError(f"group {self.filling.group} has no positions: it has consumed nothing yet")
        return goals

    @property
    def _tables(self) -> Sequence[Table]:
        return shadow_tables.TABLES if self.filling.limits.video_states else shadow_tables.TABLES[:-1]

    def _is_read(self, place: Partition) -> bool:
        return place.number < self.topics.get(place.topic, 0)

    async def _fill(self, connection: AsyncConnection) -> None:
        """Read until little is left. The group consumes meanwhile, so several rounds may be needed."""
        for _ in range(_ROUNDS):
            stretches = await self.filling.remaining(await self._goals(connection))
            count = sum(span.next - span.start for span in stretches.values())
            self.expect(count)
            await self._read(stretches)
            if count <= _SMALL_REST:
                return

    async def _read(self, stretches: Mapping[Partition, Span]) -> None:
        """Read these stretches.

        Raises:
            IncompleteError: partitions cannot be read whole. What could be read of the others stays in the shadow.
        """
        await self.filling.fill(stretches)
        if obstacles := self.filling.obstacles:
            told = "\n".join(map(str, obstacles))
            raise IncompleteError(
                "no row was changed, because a rebuild needs every partition up to the group's position. Run it again "
                f"later: it goes on where this one ended.\n{told}"
            )
        self.result.records += sum(span.next - span.start for span in stretches.values())
        await self.filling.settle_names()

    async def _replace(self, connection: AsyncConnection, live: str) -> None:
        """Replace the rows in one transaction. It is tried again if a lock was not given in time."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                positions = await hold(connection, live, self.filling.group)
                stored = {Partition(*place): at for place, at in positions.items()}
                goals = {place: at for place, at in stored.items() if self._is_read(place)}
                await self._read(await self.filling.remaining(goals))
                await erase_in_shadow(connection, live)
                await erase_in_use(connection, live)
                group = self.filling.group
                self.result.tables = await replace_rows(connection, live, self._tables, exactly=self.exactly)
                await add_letters(connection, live, group)
                if self.exactly:
                    self.result.parked_again = await park_corrections(connection, live, group)
                await (connection.commit() if self.apply else connection.rollback())
            except DBAPIError as error:
                await connection.rollback()
                if classify(error) is Verdict.DATA:
                    raise ReelsyncError(
                        "the rebuilt rows and rows that only the database has share a name: rename one of them, or "
                        "rebuild with --accept-loss. Nothing was changed"
                    ) from error
                if classify(error) is not Verdict.AGAIN or attempt == _ATTEMPTS:
                    raise
            else:
                return


async def discard(engine: AsyncEngine) -> None:
    """Drop the shadow tables that an earlier rebuild left.

    Raises:
        ReelsyncError: a rebuild is running, and needs them.
    """
    async with engine.begin() as connection:
        if not await connection.scalar(_LOCK_TO_DISCARD, execution_options={"query_name": "rebuild.lock"}):
            raise ReelsyncError(_RUNNING)
        await shadow_tables.discard(connection)
