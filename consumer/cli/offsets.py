"""`reelsync offsets`."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from sqlalchemy import RowMapping

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.check import open_transaction
from reelsync.consumer.offsets.store import Stored, list_positions, stored_in
from reelsync.consumer.operations.standing import Standing, standings
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings

from .terminal import err, load, print_json, print_rows, run_async

_COLUMNS = ("topic", "partition", "position", "begin", "end", "lag", "age_seconds", "halted", "updated_at")
_STORED = {"topic": "topic", "partition": "partition", "position": "next_offset"} | {
    name: name for name in ("cluster_id", "anchor_offset", "updated_at")
}
_ASKED_OF_THE_LOG = ("begin", "end", "lag", "age_seconds", "halted", "fix", "gone")
_AGE_SECONDS = 10.0


def show(*, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    rows, found = run_async(_positions_and_logs(settings))
    if json:
        print_json(rows)
    else:
        print_rows(f"Positions of group {settings.kafka.group_id}", _COLUMNS, rows)
    if gone := [f"{row['topic']}/{row['partition']}" for row in rows if row["gone"]]:
        sentence = f"Gone, because the topic was deleted or created again with fewer partitions: {', '.join(gone)}"
        err.print(f"{sentence}. Nobody reads them; their positions do no harm.", markup=False, soft_wrap=True)
    if complain_of_halts(found):
        raise typer.Exit(1)


def held_back(one: Standing) -> str:
    """Why records of the partition cannot be read although they are there, and what to do."""
    return open_transaction(one.partition, one.readable or 0, one.held_back)


def complain_of_halts(found: Iterable[Standing]) -> bool:
    """Print why partitions are halted or held back, and what to do. Returns whether one is halted."""
    halted = False
    for one in found:
        if one.held_back:
            err.print(f"{one.partition} is held back: {held_back(one)}", style="yellow", markup=False, soft_wrap=True)
        if one.halt:
            halted = True
            what = f"waits: {one.problem}" if one.halt.is_waiting else f"is halted: {one.problem}"
            err.print(f"{one.partition} {what}", style="red", markup=False, soft_wrap=True)
    return halted


async def _positions(settings: Settings) -> list[RowMapping]:
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                return await list_positions(connection, settings.kafka.group_id)
    finally:
        await engine.dispose()


async def _positions_and_logs(settings: Settings) -> tuple[list[dict[str, Any]], list[Standing]]:
    listed = {Partition(row["topic"], row["partition"]): row for row in await _positions(settings)}
    rows = {partition: {shown: row[name] for shown, name in _STORED.items()} for partition, row in listed.items()}
    try:
        found, written = await _logs(settings, {partition: stored_in(row) for partition, row in listed.items()})
    except ReelsyncError as error:
        err.print(f"Only the stored positions are shown: {error}", style="yellow", markup=False, soft_wrap=True)
        return [row | dict.fromkeys(_ASKED_OF_THE_LOG) for row in rows.values()], []
    now = time.time()
    logs = {
        standing.partition: {
            "begin": standing.begin,
            "end": standing.end,
            "lag": standing.lag,
            "age_seconds": max(0, round(now - written[standing.partition] / 1000))
            if standing.partition in written
            else None,
            "halted": standing.halt and standing.halt.reason,
            "fix": standing.fix,
            "gone": False,
        }
        for standing in found
    }
    gone = dict.fromkeys(_ASKED_OF_THE_LOG) | {"gone": True}
    return [row | logs.get(partition, gone) for partition, row in rows.items()], found


async def _logs(settings: Settings, stored: Mapping[Partition, Stored]) -> tuple[list[Standing], dict[Partition, int]]:
    """Where the group stands, and when the first record to go was written in each partition that has one."""
    log = KafkaLog(settings.kafka)
    cluster_id, topics = await log.cluster()
    hidden = settings.kafka.topics.keys() - topics.keys()
    there = [place for place in stored if place.topic in hidden or place.number < topics.get(place.topic, 0)]
    found = await standings(settings.kafka, cluster_id, there, stored)
    waiting = {one.partition: max(one.begin or 0, one.position or 0) for one in found if one.lag}
    async with diagnosed(settings.kafka):
        return found, await log.timestamps(waiting, _AGE_SECONDS)
