"""`make bench`, or `python -m benchmarks`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.run import Options, chosen, run
from reelsync.consumer.cli import run_to_exit
from reelsync.consumer.cli.terminal import UsageError, out, run_async


def bench(
    events: Annotated[
        int, typer.Option(envvar="EVENTS", min=1_000, help="Events for fast contenders; slow ones get a share of them.")
    ] = 300_000,
    rounds: Annotated[int, typer.Option(envvar="ROUNDS", min=1, help="Turns of each contender.")] = 3,
    workloads: Annotated[str, typer.Option(envvar="WORKLOADS", help="Comma-separated; all by default.")] = "",
    contenders: Annotated[str, typer.Option(envvar="CONTENDERS", help="Comma-separated; all by default.")] = "",
    broker: Annotated[
        Literal["embedded", "kafka"], typer.Option(envvar="BROKER", help="kafka: Apache Kafka in Docker.")
    ] = "embedded",
    partitions: Annotated[int, typer.Option(envvar="PARTITIONS", min=1, help="Partitions of each topic.")] = 6,
    seed: Annotated[int, typer.Option(envvar="SEED", help="The same seed gives the same log.")] = 1,
    json: Annotated[Path | None, typer.Option(envvar="JSON", help="File for the figures.")] = None,
    plot: Annotated[Path | None, typer.Option(envvar="PLOT", help="File for the chart, SVG.")] = None,
) -> None:
    """Measure reelsync and other consumers on the same logs, and the database alone as the upper limit.

    BENCH_BOOTSTRAP_SERVERS and BENCH_DATABASE_URL name servers that are already running. docs/performance.md explains
    the output.

    Example: python -m benchmarks --events 20000 --rounds 1 --workloads lifecycle
    """
    try:
        named = chosen(workloads, contenders)
    except ValueError as error:
        raise UsageError(str(error)) from None
    options = Options(
        events=events,
        rounds=rounds,
        seed=seed,
        partitions=partitions,
        broker=broker,
        workloads=named.workloads,
        contenders=named.contenders,
        json=json,
        plot=plot,
    )
    run_async(run(options, out))


if __name__ == "__main__":
    run_to_exit(lambda: typer.run(bench))
