"""`reelsync lag`."""

from typing import Any

import typer

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.standing import Standing, standings, stored_positions
from reelsync.consumer.records import partitions_of
from reelsync.consumer.settings import Settings

from .logs import topics_of_group
from .offsets import complain_of_halts
from .terminal import load, out, print_json, print_rows, run_async

_COLUMNS = ("topic", "partition", "position", "begin", "end", "lag", "held_back", "halted")


def lag(*, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    found = run_async(_standings(settings))
    rows = [_shown(standing) for standing in found]
    if json:
        print_json(rows)
    else:
        print_rows(f"Lag of group {settings.kafka.group_id}", _COLUMNS, rows)
        out.print(f"{sum(row['lag'] or 0 for row in rows):,} records to go")
    if complain_of_halts(found):
        raise typer.Exit(1)


async def _standings(settings: Settings) -> list[Standing]:
    cluster_id, topics = await KafkaLog(settings.kafka).cluster()
    partitions = partitions_of(await topics_of_group(settings, topics))
    return await standings(settings.kafka, cluster_id, partitions, await stored_positions(settings))


def _shown(standing: Standing) -> dict[str, Any]:
    return {
        "topic": standing.partition.topic,
        "partition": standing.partition.number,
        "position": standing.position,
        "begin": standing.begin,
        "end": standing.end,
        "lag": standing.lag,
        "held_back": standing.held_back,
        "halted": standing.halt and standing.halt.reason,
        "fix": standing.fix,
    }
