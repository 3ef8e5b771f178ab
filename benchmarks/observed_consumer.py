"""Runs reelsync as `reelsync run` does, and prints the age of every record at its commit in the end."""

import asyncio
import json
import time
from collections.abc import Sequence

from reelsync.consumer.app import Consumer
from reelsync.consumer.cli.terminal import load, run_async
from reelsync.consumer.observer import Written
from reelsync.consumer.runner import run_until_signal
from reelsync.consumer.settings import Settings
from reelsync.consumer.transform.batch import Batch

_LOOK_SECONDS = 0.25


class Ages:
    """Ages of records at their commit, in milliseconds. The first seconds do not count: caches are cold."""

    def __init__(self, cold_seconds: float) -> None:
        self.records = 0
        self._cold_ms = cold_seconds * 1000
        self._warm_since: float | None = None
        self._ages: list[float] = []
        self._writes: list[float] = []
        self._commits: list[float] = []

    def observe(self, batch: Batch, written: Sequence[Written]) -> None:
        """Add a batch that was committed just now."""
        now = time.time_ns() / 1_000_000
        self.records += batch.count
        stamps = [record.timestamp for record in batch.records]
        if self._warm_since is None and stamps:
            self._warm_since = min(stamps) + self._cold_ms
        if self._warm_since is None or not stamps or stamps[0] < self._warm_since:
            return
        self._ages += [now - stamp for stamp in stamps]
        self._writes += [part.write_seconds * 1000 for part in written]
        self._commits += [part.commit_seconds * 1000 for part in written]

    def as_json(self) -> str:
        """Percentiles of ages over records, and of the database's times over batches."""
        return json.dumps(
            {
                "batches": len(self._commits),
                "records": len(self._ages),
                **{f"age_{name}": value for name, value in percentiles(self._ages).items()},
                **{f"write_{name}": value for name, value in percentiles(self._writes).items()},
                **{f"commit_{name}": value for name, value in percentiles(self._commits).items()},
            }
        )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the maximum, by nearest rank; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    ranks = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[max(0, round(rank * len(ordered)) - 1)], 2) for name, rank in ranks.items()}


async def _consume(cold_seconds: float) -> None:
    ages = Ages(cold_seconds)
    consumer = Consumer(load(Settings), observe=ages.observe)
    async with consumer.monitor.serving():
        telling = asyncio.create_task(_print_progress(consumer, ages))
        await run_until_signal(consumer)
        telling.cancel()
    print(ages.as_json(), flush=True)


async def _print_progress(consumer: Consumer, ages: Ages) -> None:
    """Print once that the group is joined, and then the number of committed records when it changes."""
    while not consumer.source.settled:  # noqa: ASYNC110 - the consumer has no event for it
        await asyncio.sleep(_LOOK_SECONDS)
    print("ready", flush=True)
    printed = 0
    while True:
        if ages.records != printed:
            printed = ages.records
            print(printed, flush=True)
        await asyncio.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    run_async(_consume(cold_seconds=2.0))
