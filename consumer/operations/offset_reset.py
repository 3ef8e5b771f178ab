"""Setting positions by hand: where each partition would go, what that means, and what must not be done by the way."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.operations.standing import Logs
from reelsync.consumer.records import Partition

Target = Literal["earliest", "latest"] | int | datetime
"""An end of the log, an offset, or the first record of a time."""

_ENDS: Mapping[str, Target] = {"earliest": "earliest", "latest": "latest"}
_KAFKA_BEGINS = datetime(1970, 1, 1, tzinfo=UTC)
_NAMED = 6


class Move(NamedTuple):
    """One partition's way: from a stored position, none if it was never seen, to another, inside `begin` to `end`."""

    partition: Partition
    before: int | None
    after: int
    begin: int
    end: int
    halt: Halt | None
    """Why the stored position does not fit the log: a consumer has halted there, or will."""

    @property
    def replayed(self) -> int:
        """Offsets between the two that will be read again."""
        return max(0, min(self.before or 0, self.end) - self.after)

    @property
    def skipped(self) -> int:
        """Offsets between the two that will never be read."""
        return 0 if self.before is None else max(0, self.after - max(self.before, self.begin))


def parse_target(to: str) -> Target:
    """What `--to` says: earliest, latest, an offset, `@` and milliseconds since 1970, or a time in ISO 8601.

    Raises:
        ValueError: it says none of these, or a time without its zone.
    """
    if to in _ENDS:
        return _ENDS[to]
    try:
        if to.isdecimal():
            return int(to)
        time = _time(to)
    except (OSError, OverflowError, ValueError):
        raise ValueError(
            f"--to must be earliest, latest, an offset, a time (2026-01-05T10:00:00Z) or @MILLISECONDS, not {to!r}"
        ) from None
    if time.tzinfo is None:
        raise ValueError(f"--to {to} needs its time zone, such as {to}Z")
    if time < _KAFKA_BEGINS:
        raise ValueError(f"--to {to} is before 1970, and Kafka has no earlier times: use earliest")
    return time


async def ask_logs(log: KafkaLog, cluster_id: str | None, partitions: Collection[Partition], target: Target) -> Logs:
    """What a reset to `target` must know of the logs.

    Raises:
        KafkaFailedError: the brokers did not answer.
    """
    # First, because if the topic is created again meanwhile, the new position then halts.
    topics = await log.topics({partition.topic for partition in partitions})
    topic_ids = {partition: topics[partition.topic].topic_id for partition in partitions if partition.topic in topics}
    ranges = await log.ranges(partitions)
    at: Mapping[Partition, int | None] = {}
    if isinstance(target, datetime):
        at = await log.offsets_at(partitions, round(target.timestamp() * 1000))
    return Logs(cluster_id, ranges, topic_ids, at)


def plan_moves(
    logs: Logs, stored: Mapping[Partition, Stored], halted: Mapping[Partition, Halt], target: Target
) -> list[Move]:
    """Where each partition would go. Pure.

    Raises:
        ReelsyncError: a partition does not have that offset.
    """
    moves = []
    for partition, (begin, end) in sorted(logs.ranges.items()):
        before = stored[partition].next_offset if partition in stored else None
        after = _offset(target, begin, end, logs.at.get(partition))
        if not begin <= after <= end:
            raise OutsideError(f"--to must be from {begin} to {end}: {partition} has nothing else")
        moves.append(Move(partition, before, after, begin, end, halted.get(partition)))
    return moves


class OutsideError(ReelsyncError):
    """The log has no such offset: the command was asked wrongly."""

    exit_code = 2


def refusal_while_live(moves: Sequence[Move], group: str, members: int) -> str | None:
    """Why not to move: the group has members, and some positions fit their log, so that a consumer is at work there.

    A partition whose position does not fit was halted, and waits for nothing but the move.
    """
    working = [str(move.partition) for move in moves if move.halt is None and move.before != move.after]
    if not members or not working:
        return None
    named = ", ".join(working[:_NAMED]) + " …" * (len(working) > _NAMED)
    return (
        f"group {group} is live ({members} member{'s' * (members > 1)}) and at work in {named}: stop the consumers, or "
        "use --force: each is then fenced at its next batch, and continues from the new position"
    )


def _time(to: str) -> datetime:
    if to.startswith("@"):
        return datetime.fromtimestamp(int(to[1:]) / 1000, UTC)
    return datetime.fromisoformat(to)


def _offset(target: Target, begin: int, end: int, at: int | None) -> int:
    match target:
        case "earliest":
            return begin
        case "latest":
            return end
        case datetime():
            return end if at is None else max(begin, min(at, end))
        case _:
            return target
