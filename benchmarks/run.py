"""A whole run: every workload and every contender; a table, and JSON and a chart on request."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.compare import Listener, compare
from benchmarks.contender_processes import BenchmarkError
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.contenders.connect_libraries import LeftOutError
from benchmarks.plot import plot
from benchmarks.report import machine, print_report, write_json
from benchmarks.servers import BrokerChoice, servers
from benchmarks.summary import Summary
from benchmarks.workloads import WORKLOADS, Workload
from reelsync.consumer.cli.terminal import err

_T = TypeVar("_T")


class Chosen(NamedTuple):
    """The contenders and workloads of a run."""

    workloads: Sequence[Workload]
    contenders: Sequence[Contender]


@dataclass(frozen=True)
class Options:
    """The options of a run."""

    events: int = 300_000
    """The number of events for fast contenders; the others get their share of it."""
    rounds: int = 3
    seed: int = 1
    partitions: int = 6
    broker: BrokerChoice = "embedded"
    workloads: Sequence[Workload] = tuple(WORKLOADS.values())
    contenders: Sequence[Contender] = tuple(CONTENDERS.values())
    json: Path | None = None
    plot: Path | None = None


def chosen(workloads: str, contenders: str) -> Chosen:
    """The contenders and workloads in comma-separated lists; all, if a list is empty.

    Raises:
        ValueError: a name is not known; the message has those that are.
    """
    return Chosen(_named(WORKLOADS, workloads), _named(CONTENDERS, contenders))


async def run(options: Options, console: Console) -> list[Summary]:
    """Measure, print the tables on `console`, and write the files that were asked for.

    Raises:
        ReelsyncError: a server did not start, or a contender ended or made no progress.
    """
    found: list[Summary] = []
    contenders = prepared(options.contenders)
    pairs = [(workload, one) for workload in options.workloads for one in contenders if one.form_of(workload.forms)]
    if not pairs:
        raise BenchmarkError("no contender is left that reads any of these workloads")
    turns = len(pairs) * options.rounds
    with servers(options.broker) as started, shown(turns) as show_step:
        about = await machine(started)
        for workload in options.workloads:
            show_step(f"{workload.name}: publishing")
            found += await compare(
                started,
                workload,
                contenders,
                events=options.events,
                rounds=options.rounds,
                seed=options.seed,
                partitions=options.partitions,
                before=show_step,
            )
    print_report(console, about, found)
    if options.json:
        write_json(
            options.json,
            about,
            found,
            events=options.events,
            rounds=options.rounds,
            seed=options.seed,
            partitions=options.partitions,
        )
    if options.plot:
        plot(options.plot, about, found)
    return found


def prepared(contenders: Sequence[Contender]) -> list[Contender]:
    """The contenders that this machine can run, prepared. A line on standard error says why another is left out."""
    ready = []
    for contender in contenders:
        try:
            contender.prepare()
        except LeftOutError as error:
            err.print(f"{contender.title} is left out: {error}", soft_wrap=True, markup=False, highlight=False)
        else:
            ready.append(contender)
    return ready


def _named(known: Mapping[str, _T], names: str) -> list[_T]:
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    if strangers := [name for name in wanted if name not in known]:
        raise ValueError(f"there is no {', '.join(strangers)}, only {', '.join(known)}")
    return [known[name] for name in wanted]


@contextmanager
def shown(turns: int) -> Iterator[Listener]:
    """Show progress on standard error if it is a terminal; the yielded function is called with each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=turns, completed=-1)

        def show_step(what: str) -> None:
            progress.update(task, description=what, advance=0 if what.endswith("publishing") else 1)

        yield show_step
