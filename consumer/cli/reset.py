"""`reelsync offsets reset`."""

from collections.abc import Collection
from typing import Any, NamedTuple

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.group_members import count_members
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.store import read_positions, reset_positions
from reelsync.consumer.operations.offset_reset import (
    Move,
    Target,
    ask_logs,
    parse_target,
    plan_moves,
    refusal_while_live,
)
from reelsync.consumer.operations.standing import Logs, find_halted
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition, partitions_of
from reelsync.consumer.settings import Settings

from .terminal import (
    UsageError,
    confirm,
    err,
    load,
    plural,
    print_json,
    print_rows,
    run_async,
)

_MOVED = ("topic", "partition", "from", "to", "replayed", "skipped", "halted")
_NAMED = 6


def reset(
    topic: str | None, partition: int | None, to: str, *, every: bool, force: bool, dry_run: bool, yes: bool, json: bool
) -> None:
    """Carry out the command."""
    target = _target(to, topic, every=every)
    settings = load(Settings)
    moves = run_async(_reset(settings, _Request(topic, partition, target, force, dry_run, yes)))
    rows = [_shown(move) for move in moves]
    if json:
        print_json(rows)
        return
    print_rows(f"{'Would reset' if dry_run else 'Reset'} group {settings.kafka.group_id}", _MOVED, rows)
    err.print("Nothing was changed." if dry_run else f"{len(moves)} partitions continue from there.")


def _target(to: str, topic: str | None, *, every: bool) -> Target:
    if every == (topic is not None):
        raise UsageError("name a TOPIC, or use --all for all topics of the settings")
    if not to:
        raise UsageError("--to is missing: earliest, latest, an offset, a time or @MILLISECONDS")
    try:
        return parse_target(to)
    except ValueError as error:
        raise UsageError(str(error)) from None


class _Request(NamedTuple):
    """The arguments of the command."""

    topic: str | None
    partition: int | None
    target: Target
    force: bool
    dry_run: bool
    yes: bool


async def _reset(settings: Settings, request: _Request) -> list[Move]:
    group, log = settings.kafka.group_id, KafkaLog(settings.kafka)
    async with diagnosed(settings.kafka):
        cluster_id, topics = await log.cluster()
        partitions = _chosen(
            topics, [request.topic] if request.topic else list(settings.kafka.topics), request.partition
        )
        logs = await ask_logs(log, cluster_id, partitions, request.target)
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                stored = await read_positions(connection, group, partitions)
        async with diagnosed(settings.kafka):
            halted = await find_halted(log, logs, stored, settings.kafka.anchor_timeout_ms / 1000)
            members = 0 if request.force else await count_members(settings.kafka)
        moves = [move for move in plan_moves(logs, stored, halted, request.target) if move.before is not None]
        if not moves:
            raise ReelsyncError(f"group {group} has no position in {_named(partitions)} yet: nothing to reset")
        if unseen := set(partitions) - {move.partition for move in moves}:
            err.print(
                f"No position is stored yet in {_named(unseen)}. They begin at REELSYNC_KAFKA__START_FROM.",
                markup=False,
                soft_wrap=True,
            )
        _say_what_is_late(logs, moves)
        if refusal := refusal_while_live(moves, group, members):
            if not request.dry_run:
                raise ReelsyncError(f"{refusal}. Nothing was changed")
            err.print(f"Would be refused: {refusal}", style="yellow", markup=False, soft_wrap=True)
        if not request.dry_run:
            if skipped := sum(move.skipped for move in moves):
                confirm(f"{plural(skipped, 'record')} will be skipped and never read", yes=request.yes)
            with explained(settings.database):
                async with engine.begin() as connection:
                    after = {move.partition: move.after for move in moves}
                    await reset_positions(connection, group, cluster_id, after, logs.topic_ids)
    finally:
        await engine.dispose()
    return moves


def _say_what_is_late(logs: Logs, moves: Collection[Move]) -> None:
    """Say which partitions have no record as late as the time that was asked for."""
    if late := [move.partition for move in moves if logs.at.get(move.partition, 0) is None]:
        err.print(
            f"Nothing that late was written yet in {_named(late)}: these go to the end of the log.",
            markup=False,
            soft_wrap=True,
        )


def _chosen(topics: dict[str, int], wanted: list[str], partition: int | None) -> list[Partition]:
    if partition is not None:
        partitions = [Partition(wanted[0], partition)]
    else:
        partitions = partitions_of({topic: topics.get(topic, 0) for topic in wanted})
    if not partitions or any(place.number >= topics.get(place.topic, 0) for place in partitions):
        raise UsageError(
            f"there is no {'topic ' + wanted[0] if partition is None else 'partition ' + str(partitions[0])}"
        )
    return partitions


def _named(partitions: Collection[Partition]) -> str:
    return ", ".join(map(str, sorted(partitions)[:_NAMED])) + " …" * (len(partitions) > _NAMED)


def _shown(move: Move) -> dict[str, Any]:
    return {
        "topic": move.partition.topic,
        "partition": move.partition.number,
        "from": move.before,
        "to": move.after,
        "replayed": move.replayed,
        "skipped": move.skipped,
        "halted": move.halt and move.halt.reason,
    }
