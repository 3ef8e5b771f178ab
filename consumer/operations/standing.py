"""The position of a group in each partition, the range of the log, and whether the two fit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.survey import Bounds
from reelsync.consumer.offsets.check import Halt, LogState, check_position, deleted, remedy, unknown
from reelsync.consumer.offsets.store import Stored, all_positions
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings, Settings


@dataclass(frozen=True)
class Logs:
    """What the brokers say of some partitions, in one moment."""

    cluster_id: str | None
    ranges: Mapping[Partition, tuple[int, int]]
    topic_ids: Mapping[Partition, str | None]
    """The id of each partition's topic, None from brokers older than topic ids."""
    at: Mapping[Partition, int | None] = field(default_factory=dict)
    """For a time that was asked for: its first offset, None if no record is as late."""


class Standing(NamedTuple):
    """One partition: the group's next offset (None if it has no position yet), and the log from `begin` to `end`.

    Of a log that no broker tells about, `begin` and `end` are None.
    """

    partition: Partition
    position: int | None
    begin: int | None
    end: int | None
    halt: Halt | None
    """Why a consumer has halted there, or will: the position does not fit the log, or no broker tells about it."""
    readable: int | None = None
    """The end of what may be read: an open transaction begins there if it is before the end."""

    @property
    def lag(self) -> int | None:
        """Offsets to go, if the log is known."""
        if self.begin is None or self.end is None:
            return None
        return max(0, self.end - max(self.begin, self.begin if self.position is None else self.position))

    @property
    def held_back(self) -> int:
        """How many offsets to go cannot be read before an open transaction ends."""
        if self.lag is None or self.end is None or self.readable is None:
            return 0
        return min(self.lag, self.end - self.readable)

    @property
    def fix(self) -> str | None:
        """What to do about a position that does not fit."""
        return self.halt and remedy(self.partition, self.halt)

    @property
    def problem(self) -> str | None:
        """Why the position does not fit, and what to do about it."""
        return self.halt and f"{self.halt.message}. What to do: {self.fix}"


async def stored_positions(settings: Settings) -> dict[Partition, Stored]:
    """All positions of the group.

    Raises:
        ReelsyncError: the database cannot be used.
    """
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                return await all_positions(connection, settings.kafka.group_id)
    finally:
        await engine.dispose()


async def hidden_positions(settings: Settings, found: Collection[str]) -> dict[Partition, Stored]:
    """The group's positions in topics of the settings that are not among those `found` at the brokers.

    Raises:
        ReelsyncError: the database cannot be used.
    """
    hidden = settings.kafka.topics.keys() - set(found)
    stored = await stored_positions(settings) if hidden else {}
    return {partition: position for partition, position in stored.items() if partition.topic in hidden}


async def standings(
    settings: KafkaSettings,
    cluster_id: str | None,
    partitions: Collection[Partition],
    stored: Mapping[Partition, Stored],
) -> list[Standing]:
    """The standing of the group in these partitions.

    Raises:
        ReelsyncError: the brokers cannot be used.
    """
    async with diagnosed(settings):
        anchor_seconds = settings.anchor_timeout_ms / 1000
        bounds, halts = await judge(KafkaLog(settings), cluster_id, partitions, stored, anchor_seconds)
    standing = []
    for partition in sorted({*bounds, *halts}):
        position = stored[partition].next_offset if partition in stored else None
        begin, end, readable, _ = bounds.get(partition, (None, None, None, None))
        standing.append(Standing(partition, position, begin, end, halts.get(partition), readable))
    return standing


class Judged(NamedTuple):
    """The logs of the partitions that are there, and the verdicts on those that a consumer halts or has halted."""

    bounds: Mapping[Partition, Bounds]
    halts: dict[Partition, Halt]


async def judge(
    log: KafkaLog | ArchivedLog,
    cluster_id: str | None,
    partitions: Collection[Partition],
    stored: Mapping[Partition, Stored],
    anchor_seconds: float = 3.0,
) -> Judged:
    """Ask for the logs of the partitions, and compare those that are known with the stored positions.

    Records that were applied last are waited for as long as `anchor_seconds`.

    Raises:
        KafkaFailedError: no broker answered.
    """
    found = await log.survey(partitions)
    logs = Logs(
        cluster_id,
        {partition: (bounds.begin, bounds.end) for partition, bounds in found.bounds.items()},
        {partition: bounds.topic_id for partition, bounds in found.bounds.items()},
    )
    known = {partition: stored[partition] for partition in found.bounds if partition in stored}
    halts = {partition: deleted(partition) for partition in partitions if partition not in found.bounds}
    halts |= {partition: unknown(partition, trouble) for partition, trouble in found.troubles.items()}
    return Judged(found.bounds, halts | await find_halted(log, logs, known, anchor_seconds))


async def find_halted(
    log: KafkaLog | ArchivedLog, logs: Logs, stored: Mapping[Partition, Stored], anchor_seconds: float
) -> dict[Partition, Halt]:
    """The partitions whose stored position does not fit the log, by the rule that the consumer halts them by.

    Raises:
        KafkaFailedError: the brokers did not answer.
    """
    wanted = {
        partition: position.anchor.offset
        for partition, position in stored.items()
        if position.anchor and logs.ranges[partition][0] <= position.anchor.offset < logs.ranges[partition][1]
    }
    anchors = await log.anchors(wanted, anchor_seconds)
    states = {p: LogState(*logs.ranges[p], anchors.get(p), logs.topic_ids.get(p)) for p in stored}
    checked = {p: check_position(position, states[p], logs.cluster_id) for p, position in stored.items()}
    return {partition: halt for partition, halt in checked.items() if halt}
