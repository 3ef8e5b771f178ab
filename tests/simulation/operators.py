"""The person who resets the positions of halted partitions, and who knows when everything is done."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.offsets.store import reset_positions
from reelsync.consumer.records import Partition

from .connection import SimulatedEngine
from .consumer import GROUP
from .kafka import CLUSTER, Log
from .world import Process

if TYPE_CHECKING:
    from .scenario import Scenario


class Operator:
    """Looks at the partitions that consumers have halted."""

    def __init__(self, scenario: "Scenario") -> None:
        self._world = scenario.world
        self._kafka = scenario.kafka
        self._postgres = scenario.postgres
        self._engine = SimulatedEngine(scenario.postgres)
        self._sources: dict[Process, Any] = {}

    def watch(self, process: Process, source: Any) -> None:
        """Look at this consumer, too, as long as its process lives."""
        self._sources = {p: s for p, s in self._sources.items() if p.alive} | {process: source}

    def unfinished(self) -> list[str]:
        """Partitions that are not read to their end."""
        left = []
        for log in self._kafka.partitions:
            row = self.position(log)
            at, topic_id = (row["next_offset"], row["topic_id"]) if row else (0, None)
            # At 0 an older id does no harm: the first batch is fenced, and then the position is of this topic.
            if at != log.readable_end or (at and topic_id != log.topic_id):
                left.append(f"{log.partition} at {at} of {topic_id}, {log.topic_id} has {log.begin}-{log.readable_end}")
        return left

    async def look(self) -> None:
        """Set the position of each partition that a consumer halted, if it does not fit the log."""
        halted = {partition for source in self._sources.values() for partition in source.halted}
        for log in self._kafka.partitions:
            target = self._target(log) if log.partition in halted else None
            if target is None or self._postgres.is_down:
                continue
            if log.corrupt and target == log.corrupt.next:
                log.given_up.append(log.corrupt)
            with suppress(DBAPIError, OSError):
                await self._reset(log.partition, target, log.topic_id)

    def position(self, log: Log) -> dict[str, Any] | None:
        """The stored position of a partition."""
        return self._postgres.tables["consumer_offsets"].get((GROUP, *log.partition))

    def _target(self, log: Log) -> int | None:
        """Where to go on; None if the position fits the log."""
        row = self.position(log)
        if row is None:
            return None
        at = row["next_offset"]
        if (row["topic_id"] != log.topic_id and at) or not log.begin <= at <= log.end:
            return log.begin
        return log.corrupt.next if log.corrupt and log.is_corrupt(at) else None

    async def _reset(self, partition: Partition, target: int, topic_id: str | None) -> None:
        self._world.note("reset", partition, target)
        async with self._engine.begin() as connection:
            moved = {partition: target}
            await reset_positions(cast("AsyncConnection", connection), GROUP, CLUSTER, moved, {partition: topic_id})
