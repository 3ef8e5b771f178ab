"""`reelsync offsets`."""

import time
from typing import Any

from sqlalchemy import RowMapping

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.offsets.store import list_positions
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings, Settings

from .terminal import JsonOption, err, load, print_json, print_rows, run_async

_COLUMNS = ("topic", "partition", "next_offset", "begin", "end", "lag", "age_seconds", "updated_at")
_ASKED_OF_THE_LOG = ("begin", "end", "lag", "age_seconds", "gone")
_AGE_SECONDS = 10.0


def show(json: JsonOption = False) -> None:
    """Show the group's position in each partition, and the log around it.

    Lag is the number of offsets to go; age, how long ago the oldest record among them was written; updated at, when the
    position last moved. Positions of partitions that are gone are named. Without an answer from Kafka the positions are
    shown all the same.

    Example: reelsync offsets show
    """
    settings = load(Settings)
    rows = run_async(_positions_and_logs(settings))
    if json:
        print_json(rows)
    else:
        print_rows(f"Positions of group {settings.kafka.group_id}", _COLUMNS, rows)
    if gone := [f"{row['topic']}/{row['partition']}" for row in rows if row["gone"]]:
        told = f"Gone, for the topic was deleted, or created again with fewer partitions: {', '.join(gone)}"
        err.print(f"{told}. Nobody reads them, and their positions may stay.", markup=False, soft_wrap=True)


async def positions_of(settings: Settings) -> list[RowMapping]:
    """The group's positions."""
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                return await list_positions(connection, settings.kafka.group_id)
    finally:
        await engine.dispose()


async def _positions_and_logs(settings: Settings) -> list[dict[str, Any]]:
    rows = [dict(row) for row in await positions_of(settings)]
    stored = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    try:
        logs = await _logs(settings.kafka, stored)
    except ReelsyncError as error:
        err.print(f"Only what PostgreSQL knows: {error}", style="yellow", markup=False, soft_wrap=True)
        logs = {}
    unknown = dict.fromkeys(_ASKED_OF_THE_LOG)
    return [row | unknown | logs.get(partition, {}) for partition, row in zip(stored, rows, strict=True)]


async def _logs(settings: KafkaSettings, stored: dict[Partition, int]) -> dict[Partition, dict[str, Any]]:
    """What the log of each partition says, and whether it is gone."""
    log = KafkaLog(settings)
    async with diagnosed(settings):
        _, topics = await log.cluster()
        ranges = await log.ranges(place for place in stored if place.number < topics.get(place.topic, 0))
        waiting = {place: max(begin, stored[place]) for place, (begin, end) in ranges.items() if stored[place] < end}
        written = await log.timestamps(waiting, _AGE_SECONDS)
    now = time.time()
    return {
        place: {
            "begin": begin,
            "end": end,
            "lag": max(0, end - max(begin, stored[place])),
            "age_seconds": max(0, round(now - written[place] / 1000)) if place in written else None,
            "gone": False,
        }
        for place, (begin, end) in ranges.items()
    } | {place: {"gone": True} for place in stored if place not in ranges}
