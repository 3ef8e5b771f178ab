"""`python -m benchmarks.scaling`: whether throughput and memory stay the same while the amount of work grows.

Each part grows one thing and keeps the rest: rows that are already in the table, records that wait, partitions, bytes
of a value. Its first size is the small case with which the others are compared.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Turn, measure
from benchmarks.published_log import published
from benchmarks.report import machine, widened
from benchmarks.run import shown
from benchmarks.servers import BrokerChoice, Servers, servers
from benchmarks.summary import median_turn
from benchmarks.workloads import WORKLOADS, Workload, padded_lifecycle
from reelsync.consumer.cli.terminal import complain
from reelsync.consumer.errors import ReelsyncError

_CONTENDERS = ("database-1", "reelsync-1")
_VALUE_BYTES = 340
"""The size of a value without padding."""
_BYTES_AT_MOST = 400_000_000
"""The largest size of a log: with larger values it has fewer of them."""
_COLUMNS = (
    *("part", "size", "events", "events/s", "MB/s", "of the small case", "of the ceiling", "client CPU s/M"),
    *("peak MB", "peak of the small case"),
)


@dataclass(frozen=True)
class Case:
    """One size of one part."""

    part: str
    size: int
    workload: Workload
    events: int
    value_bytes: int = _VALUE_BYTES
    rows_before: int = 0
    partitions: int = 6


@dataclass(frozen=True)
class Found:
    """The result of one size."""

    case: Case
    ceiling: Turn
    reelsync: Turn


Part = Callable[[int, int], Case]
"""Makes a case from a size and the number of events of a run."""


def _table(size: int, events: int) -> Case:
    return Case("table", size, WORKLOADS["lifecycle"], events, rows_before=size)


def _backlog(size: int, _events: int) -> Case:
    return Case("backlog", size, WORKLOADS["lifecycle"], size)


def _partitions(size: int, events: int) -> Case:
    return Case("partitions", size, WORKLOADS["lifecycle"], events, partitions=size)


def _payload(size: int, events: int) -> Case:
    fewer = min(events, _BYTES_AT_MOST // size)
    return Case("payload", size, padded_lifecycle(max(0, size - _VALUE_BYTES)), fewer, value_bytes=size)


PARTS: dict[str, tuple[Part, tuple[int, ...], tuple[int, ...]]] = {
    "table": (_table, (10_000, 1_000_000), (10_000_000,)),
    "backlog": (_backlog, (10_000, 500_000), (5_000_000,)),
    "partitions": (_partitions, (1, 6, 64), ()),
    "payload": (_payload, (340, 3_000, 30_000), ()),
}
"""Name → how to make a case, its sizes, and the sizes that take long and are measured only on request."""


def cases(parts: Sequence[str], events: int, *, large: bool) -> list[Case]:
    """The cases to measure.

    Raises:
        ValueError: there is no part of that name.
    """
    if strangers := set(parts) - PARTS.keys():
        raise ValueError(f"there is no {', '.join(sorted(strangers))}, only {', '.join(PARTS)}")
    return [
        make(size, events)
        for make, sizes, large_sizes in (PARTS[name] for name in parts)
        for size in (*sizes, *(large_sizes if large else ()))
    ]


async def scaling(
    started: Servers, wanted: Sequence[Case], rounds: int, show_step: Callable[[str], None]
) -> list[Found]:
    """The result of each case: the turn with the median rate.

    Raises:
        BenchmarkError: a contender ended, or made no progress.
    """
    found = []
    for case in wanted:
        log = published(
            started,
            case.workload,
            seed=1,
            events=case.events,
            partitions=case.partitions,
            check_rows=False,
            rows_before=case.rows_before,
        )
        async with log as ready:
            turns: dict[str, list[Turn]] = {name: [] for name in _CONTENDERS}
            for _ in range(rounds):
                for name in _CONTENDERS:
                    show_step(f"{case.part} {case.size:,}: {name}")
                    turns[name].append(await measure(started, ready, CONTENDERS[name]))
        found.append(Found(case, *(median_turn(turns[name]) for name in _CONTENDERS)))
    return found


def as_rows(found: Sequence[Found]) -> list[dict[str, Any]]:
    """One object for each case, with its ratios to the first size."""
    smallest: dict[str, Found] = {}
    for case in found:
        smallest.setdefault(case.case.part, case)

    def small(one: Found) -> Turn:
        return smallest[one.case.part].reelsync

    return [
        {
            "part": one.case.part,
            "size": one.case.size,
            "events": one.case.events,
            "events/s": round(one.reelsync.rate),
            "MB/s": round(one.reelsync.rate * one.case.value_bytes / 1e6, 1),
            "of the small case": round(one.reelsync.rate / small(one).rate, 2),
            "of the ceiling": round(one.reelsync.rate / one.ceiling.rate, 2),
            "client CPU s/M": round(1e6 * one.reelsync.client_cpu / one.case.events, 1),
            "peak MB": round(one.reelsync.peak_memory / 1e6),
            "peak of the small case": round(one.reelsync.peak_memory / small(one).peak_memory, 2),
        }
        for one in found
    ]


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917 - the options of a command
    parts: Annotated[str, typer.Option(envvar="PARTS", help=f"Some of {', '.join(PARTS)}.")] = ",".join(PARTS),
    large: Annotated[bool, typer.Option("--large", envvar="LARGE", help="Also the sizes that take long.")] = False,  # noqa: FBT002
    events: Annotated[
        int, typer.Option(envvar="EVENTS", min=1_000, help="Number of events, except where it grows.")
    ] = 200_000,
    rounds: Annotated[int, typer.Option(envvar="ROUNDS", min=1, help="Turns of each case.")] = 3,
    broker: Annotated[BrokerChoice, typer.Option(envvar="BROKER", help="kafka: Apache Kafka in Docker.")] = "embedded",
    json: Annotated[Path | None, typer.Option(envvar="JSON", help="File for the figures.")] = None,
) -> None:
    """Measure how throughput and memory change as the work grows.

    Example: python -m benchmarks.scaling --parts table,payload --events 50000 --rounds 1
    """
    try:
        wanted = cases(parts.split(","), events, large=large)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    turns = len(wanted) * rounds * len(_CONTENDERS)
    with servers(broker) as started, shown(turns) as show_step:
        about = asyncio.run(machine(started))
        found = as_rows(asyncio.run(scaling(started, wanted, rounds, show_step)))
    table = Table(*_COLUMNS, title="reelsync, one worker, as the work grows", title_justify="left")
    for row in found:
        table.add_row(*(f"{row[column]:,}" if column != "part" else row[column] for column in _COLUMNS))
    widened(Console()).print(table, f"{about.processor}, {about.cores} cores; {about.broker}; {about.postgres}")
    if json:
        document = {"machine": about._asdict(), "results": found}
        json.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    try:
        app()
    except ReelsyncError as error:
        complain(str(error))
        sys.exit(1)
