"""`reelsync bench`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reelsync.consumer.cli.terminal import UsageError, out, run_async


def bench(  # noqa: PLR0913, PLR0917 - the options of a command
    events: Annotated[
        int, typer.Option(envvar="EVENTS", min=1_000, help="For fast contenders; slow ones get a share.")
    ] = 300_000,
    rounds: Annotated[int, typer.Option(envvar="ROUNDS", min=1, help="Turns of each contender.")] = 3,
    workloads: Annotated[str, typer.Option(envvar="WORKLOADS", help="Comma-separated; all by default.")] = "",
    contenders: Annotated[str, typer.Option(envvar="CONTENDERS", help="Comma-separated; all by default.")] = "",
    broker: Annotated[
        Literal["embedded", "kafka"], typer.Option(envvar="BROKER", help="kafka: Apache Kafka in Docker.")
    ] = "embedded",
    partitions: Annotated[int, typer.Option(envvar="PARTITIONS", min=1, help="Of each topic.")] = 6,
    seed: Annotated[int, typer.Option(envvar="SEED", help="Another seed, another log.")] = 1,
    json: Annotated[Path | None, typer.Option(envvar="JSON", help="File for the figures.")] = None,
    plot: Annotated[Path | None, typer.Option(envvar="PLOT", help="File for the picture, SVG.")] = None,
) -> None:
    """Measure reelsync beside the database alone and beside what most teams write. Needs the extras `bench` and `demo`.

    BENCH_BOOTSTRAP_SERVERS and BENCH_DATABASE_URL name servers that run already; docs/performance.md says how to read
    what comes out.

    Example: reelsync bench --events 20000 --rounds 1 --workloads lifecycle
    """
    try:
        from benchmarks.run import Options, chosen, run  # noqa: PLC0415 - the extras may not be installed
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install 'reelsync[bench,demo]'") from None
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
