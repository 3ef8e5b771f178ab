"""`python -m benchmarks.guard`: whether reelsync has become slower, by ratios that a machine's speed does not move.

Two of them, from one short run on embedded servers. Throughput: reelsync's rate by that of the database alone, in the
same rounds. Cost: client CPU for an event by the CPU of reading the same events with the standard library's json, in
the same minute. Of each figure the best of the rounds counts, because noise only makes things slower. The limits are
set apart from all that was seen (docs/performance.md), so that they fail for changes and not for a busy machine.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Turn, measure
from benchmarks.published_log import PublishedLog, published
from benchmarks.servers import servers
from benchmarks.workloads import WORKLOADS
from reelsync.consumer.errors import ReelsyncError

LEAST_OF_CEILING = 0.1
MOST_OF_CALIBRATION = 3.5
_EVENTS = 60_000
_CALIBRATED = 20_000
_ROUNDS = 4
_PARTITIONS = 6


class Round(NamedTuple):
    """What one round found: the turns, and the CPU seconds that reading one event took."""

    ceiling: Turn
    reelsync: Turn
    calibration: float


class Ratios(NamedTuple):
    """What is judged."""

    of_ceiling: float
    of_calibration: float


def ratios(rounds: Sequence[Round]) -> Ratios:
    """The best of the rounds, by each figure."""
    rate = max(round_.reelsync.rate for round_ in rounds)
    ceiling = max(round_.ceiling.rate for round_ in rounds)
    cost = min(round_.reelsync.client_cpu / round_.reelsync.events for round_ in rounds)
    return Ratios(rate / ceiling, cost / min(round_.calibration for round_ in rounds))


def faults(rounds: Sequence[Round]) -> list[str]:
    """What is wrong, in sentences; nothing, if all is well."""
    found = ratios(rounds)
    problems = [
        f"{name} left {turn.wrong_rows:,} rows wrong"
        for round_ in rounds
        for name, turn in (("the database alone", round_.ceiling), ("reelsync", round_.reelsync))
        if turn.wrong_rows
    ]
    if found.of_ceiling < LEAST_OF_CEILING:
        problems.append(f"reelsync reached {found.of_ceiling:.2f} of the ceiling; at least {LEAST_OF_CEILING} is asked")
    if found.of_calibration > MOST_OF_CALIBRATION:
        problems.append(
            f"an event cost {found.of_calibration:.2f} times the CPU of reading it with json; at most "
            f"{MOST_OF_CALIBRATION} is allowed"
        )
    return problems


async def guard() -> list[Round]:
    """The rounds."""
    with servers() as started:
        workload = WORKLOADS["lifecycle"]
        async with published(started, workload, seed=1, events=_EVENTS, partitions=_PARTITIONS) as log:
            return [
                Round(
                    await measure(started, log, CONTENDERS["database-1"]),
                    await measure(started, log, CONTENDERS["reelsync-1"]),
                    calibrate(log),
                )
                for _ in range(_ROUNDS)
            ]


def calibrate(log: PublishedLog) -> float:
    """CPU seconds of this process to read one event of the log with json, and to write it again."""
    values = [record.value for _, record in zip(range(_CALIBRATED), log.records(), strict=False)]
    started = time.process_time()
    for value in values:
        json.dumps(json.loads(value))
    return (time.process_time() - started) / len(values)


def main() -> None:
    """Print the ratios, and what is wrong; exit code 1 if something is."""
    console = Console(stderr=True)
    try:
        rounds = asyncio.run(guard())
    except ReelsyncError as error:
        console.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(1)
    found = ratios(rounds)
    print(
        f"of the ceiling: {found.of_ceiling:.2f} (at least {LEAST_OF_CEILING}); "
        f"CPU of an event by reading it with json: {found.of_calibration:.2f} (at most {MOST_OF_CALIBRATION})"
    )
    problems = faults(rounds)
    for problem in problems:
        console.print(f"error: {problem}", style="bold red", markup=False)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
