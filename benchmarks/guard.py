"""`python -m benchmarks.guard`: has reelsync become slower? Ratios answer that, because no machine's speed moves them.

One short run on embedded servers gives:

- the cost to decode, fold and plan an event, divided by the cost of json for it, both in this process and in turns.
  This is the most precise ratio;
- the CPU seconds that an event costs the consumer, and PostgreSQL, divided by those for reading and writing it with the
  standard library's json in a process that runs at the same time (`yardstick`);
- the rows written, divided by those of the database alone in the same round: whether batches are as large as possible;
- the rate, divided by that of the database alone in the same round. It depends on other programs, so its limit is wide.

The limits are away from everything that was seen (docs/performance.md): a change breaks them, a busy machine does not.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import median
from typing import NamedTuple

from rich.console import Console

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.forms import TOPICS
from benchmarks.measure import Turn, measure
from benchmarks.published_log import PublishedLog, published
from benchmarks.servers import servers
from benchmarks.workloads import WORKLOADS
from benchmarks.yardstick import yardstick
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.records import StoredRecord
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from reelsync.consumer.transform.plan import Missing

_EVENTS = 60_000
_ROUNDS = 4
_PARTITIONS = 6
_SLICES, _SLICE = 60, 1_000
_MAX_VALUE_BYTES = 524_288


class Round(NamedTuple):
    """The result of one round."""

    ceiling: Turn
    reelsync: Turn
    work: float
    """CPU time of decoding, folding and planning, divided by that of json."""


class Ratios(NamedTuple):
    """The ratios that have limits."""

    work: float
    client: float
    postgres: float
    rows: float
    rate: float


class Limit(NamedTuple):
    """The limit of a ratio."""

    of: str
    value: float
    is_most: bool = True

    def is_kept(self, ratio: float) -> bool:
        """Whether the ratio is within the limit."""
        return ratio <= self.value if self.is_most else ratio >= self.value

    def __str__(self) -> str:
        return f"at {'most' if self.is_most else 'least'} {self.value}"


LIMITS: Mapping[str, Limit] = {
    "work": Limit("CPU to decode, fold and plan an event, divided by that of json in turns with it", 1.3),
    "client": Limit("the consumer's CPU for an event, divided by the yardstick's", 2.3),
    "postgres": Limit("PostgreSQL's CPU for an event, divided by the yardstick's", 1.05),
    "rows": Limit("rows written, divided by those of the database alone", 1.6),
    "rate": Limit("events a second, divided by those of the database alone", 0.05, is_most=False),
}


def ratios(rounds: Sequence[Round]) -> Ratios:
    """The medians of the rounds, but the minima of CPU times, because any disturbance only makes these larger."""
    found = [_ratios(round_) for round_ in rounds]
    medians = Ratios(*(median(ratio) for ratio in zip(*found, strict=True)))
    least = Ratios(*map(min, zip(*found, strict=True)))
    return medians._replace(work=least.work, client=least.client, postgres=least.postgres)


def faults(rounds: Sequence[Round]) -> list[str]:
    """The broken limits, in sentences; none, if all is well."""
    wrong = [
        f"{name} left {turn.wrong_rows:,} rows wrong"
        for round_ in rounds
        for name, turn in (("the database alone", round_.ceiling), ("reelsync", round_.reelsync))
        if turn.wrong_rows
    ]
    found = ratios(rounds)._asdict()
    far = [
        f"{limit.of}: {found[name]:.2f}, {limit}" for name, limit in LIMITS.items() if not limit.is_kept(found[name])
    ]
    return wrong + far


async def guard(contender: Contender, *, events: int = _EVENTS, rounds: int = _ROUNDS) -> list[Round]:
    """The rounds of this contender."""
    workload = WORKLOADS["lifecycle"]
    with servers() as started:
        log = published(started, workload, seed=1, events=events, partitions=_PARTITIONS)
        async with log as ready, yardstick() as beside:
            return [
                Round(
                    await measure(started, ready, CONTENDERS["database-1"], beside),
                    await measure(started, ready, contender, beside),
                    work(ready),
                )
                for _ in range(rounds)
            ]


def work(log: PublishedLog) -> float:
    """CPU seconds of this process to decode, fold and plan events, and to read and write them with json.

    Both take turns every few milliseconds, so that both suffer from the same disturbances.
    """
    records = [
        StoredRecord(log.topic, 0, offset, 0, record.key, record.value, ())
        for offset, record in enumerate(islice(log.records(), _SLICES * _SLICE))
    ]
    decode = decoder({log.topic: TOPICS[log.form]}, _MAX_VALUE_BYTES)
    found = []
    for start in range(0, len(records), _SLICE):
        part = records[start : start + _SLICE]
        started = time.process_time()
        batch = Batch(0, decode)
        batch.add(part, [decode(record) for record in part])
        batch.plan.statements(Missing((), ()))
        planned = time.process_time()
        read_and_written = [json.dumps(json.loads(record.value or b"")) for record in part]
        found.append((planned - started) / (time.process_time() - planned))
        del read_and_written
    return median(found)


def main() -> None:
    """Print the ratios and the broken limits; exit code 1 if there are any."""
    console = Console(stderr=True)
    try:
        rounds = asyncio.run(guard(CONTENDERS["reelsync-1"]))
    except ReelsyncError as error:
        console.print(f"error: {error}", style="bold red", markup=False)
        sys.exit(1)
    for name, ratio in ratios(rounds)._asdict().items():
        print(f"{LIMITS[name].of}: {ratio:.2f}, {LIMITS[name]}")
    problems = faults(rounds)
    for problem in problems:
        console.print(f"error: {problem}", style="bold red", markup=False)
    sys.exit(1 if problems else 0)


def _ratios(round_: Round) -> Ratios:
    ours, alone = round_.reelsync, round_.ceiling
    price = (ours.yardstick or 0.0) * ours.events
    return Ratios(
        work=round_.work,
        client=ours.client_cpu / price,
        postgres=(ours.postgres_cpu or 0.0) / price,
        rows=ours.rows_written / alone.rows_written,
        rate=ours.rate / alone.rate,
    )


if __name__ == "__main__":
    main()
