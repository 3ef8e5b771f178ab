"""`reelsync offsets`."""

from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from sqlalchemy import RowMapping

from consumer.app import engine_of
from consumer.database_errors import explained
from consumer.errors import ReelsyncError
from consumer.kafka_diagnosis import diagnose
from consumer.kafka_log import KafkaLog
from consumer.offsets import list_positions, reset_position
from consumer.records import Partition
from consumer.settings import Settings

from .terminal import JsonOption, UsageError, err, load, print_json, print_rows, run_async

app = typer.Typer(help="Positions, as PostgreSQL keeps them.", no_args_is_help=True)

_COLUMNS = ("topic", "partition", "next_offset", "cluster_id", "anchor_offset", "updated_at")


@app.command()
def show(json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """Show the group's position in each partition.

    Example: reelsync offsets show
    """
    settings = load(Settings)
    rows = run_async(positions_of(settings))
    if json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(f"Positions of group {settings.kafka.group_id}", _COLUMNS, [dict(row) for row in rows])


@app.command()
def reset(
    topic: str,
    partition: int,
    to: Annotated[str, typer.Option(help="earliest, latest or an offset.")],
    json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Set the position of one partition. A running consumer notices at its next batch, and goes on from there.

    Example: reelsync offsets reset video-events 3 --to earliest
    """
    settings = load(Settings)
    place = Partition(topic, partition)
    offset = run_async(_reset(settings, place, to))
    if json:
        print_json({"topic": topic, "partition": partition, "next_offset": offset})
    else:
        err.print(f"{place} goes on at {offset}.")


async def positions_of(settings: Settings) -> list[RowMapping]:
    """The group's positions."""
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                return await list_positions(connection, settings.kafka.group_id)
    finally:
        await engine.dispose()


async def _reset(settings: Settings, place: Partition, to: str) -> int:
    if to not in {"earliest", "latest"} and not to.isdecimal():
        raise UsageError(f"--to must be earliest, latest or an offset, not {to!r}")
    log = KafkaLog(settings.kafka)
    try:
        cluster_id, topics = await log.cluster()
        if place.number >= topics.get(place.topic, 0):
            raise UsageError(f"there is no partition {place}")
        begin, end = (await log.ranges([place]))[place]
    except (KafkaError, OSError, TimeoutError) as error:
        raise await diagnose(settings.kafka, error) from error
    offset = {"earliest": begin, "latest": end}.get(to) if not to.isdecimal() else int(to)
    if offset is None or not begin <= offset <= end:
        raise UsageError(f"--to must be from {begin} to {end}: {place} has nothing else")
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            async with engine.begin() as connection:
                known = await reset_position(connection, settings.kafka.group_id, cluster_id, place, offset)
    finally:
        await engine.dispose()
    if not known:
        raise ReelsyncError(f"group {settings.kafka.group_id} has no position in {place} yet: nothing to reset")
    return offset
