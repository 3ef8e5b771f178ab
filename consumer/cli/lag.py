"""`reelsync lag`."""

from typing import Any

from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.preflight import check_topics
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings

from .offsets import positions_of
from .terminal import JsonOption, load, out, print_json, print_rows, run_async

_COLUMNS = ("topic", "partition", "position", "begin", "end", "lag")


def lag(json: JsonOption = False) -> None:
    """Show how far the group is behind, partition by partition.

    Example: reelsync lag --json
    """
    settings = load(Settings)
    rows = run_async(_lags(settings))
    if json:
        print_json(rows)
        return
    print_rows(f"Lag of group {settings.kafka.group_id}", _COLUMNS, rows)
    out.print(f"{sum(row['lag'] for row in rows):,} records to go")


async def _lags(settings: Settings) -> list[dict[str, Any]]:
    stored = {Partition(row["topic"], row["partition"]): row["next_offset"] for row in await positions_of(settings)}
    log = KafkaLog(settings.kafka)
    async with diagnosed(settings.kafka):
        topics = check_topics((await log.cluster())[1], settings.kafka)
        partitions = [Partition(topic, number) for topic, count in topics.items() for number in range(count)]
        ranges = await log.ranges(partitions)
    return [
        {
            "topic": partition.topic,
            "partition": partition.number,
            "position": stored.get(partition),
            "begin": begin,
            "end": end,
            "lag": max(0, end - max(begin, stored.get(partition, begin))),
        }
        for partition, (begin, end) in sorted(ranges.items())
    ]
