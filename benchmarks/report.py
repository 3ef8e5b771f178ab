"""The results, as tables for people and as one JSON document."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from benchmarks.servers import Servers
from benchmarks.summary import Summary, as_json
from benchmarks.workloads import WORKLOADS

_WIDTH = 170
_COLUMNS = (
    "contender",
    "events",
    "events/s (range)",
    "second half",
    "of the ceiling",
    "client",
    "PostgreSQL",
    "broker",
    "peak MB",
    "rows/event",
    "WAL B/event",
    "rows right",
)


_SERVER = text(
    "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
)


class Machine(NamedTuple):
    """The machine and the servers of a run."""

    processor: str
    cores: int
    memory_gb: int
    system: str
    python: str
    broker: str
    postgres: str


async def machine(servers: Servers) -> Machine:
    """This machine, and these servers."""
    async with servers.connected() as connection:
        version, *durable = (await connection.execute(_SERVER)).one()
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 0,
        memory_gb=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        broker=servers.broker_name,
        postgres=f"PostgreSQL {version} ({servers.postgres_name}), fsync {durable[0]}, synchronous_commit {durable[1]}",
    )


def widened(console: Console) -> Console:
    """A console that is wide enough for the tables if it is not a terminal."""
    return console if console.is_terminal else Console(file=console.file, width=_WIDTH)


def print_report(console: Console, about: Machine, summaries: Sequence[Summary]) -> None:
    """A table for each workload, and what each contender guarantees."""
    console = widened(console)
    for workload in dict.fromkeys(summary.workload for summary in summaries):
        console.print(_table(workload, [summary for summary in summaries if summary.workload == workload]))
    guarantees = Table("contender", "what it guarantees", title="Guarantees", title_justify="left")
    for title, guarantee in dict.fromkeys((summary.title, summary.guarantee) for summary in summaries):
        guarantees.add_row(title, guarantee)
    console.print(guarantees)
    console.print(
        f"{about.processor}, {about.cores} cores shared by all, {about.memory_gb} GB, {about.system}, "
        f"Python {about.python}\n{about.broker}; {about.postgres}\n"
        "Medians of the rounds. CPU: user and system seconds for a million events. "
        "The clock runs from the first write that is let in to the last commit.",
        highlight=False,
    )


def write_json(path: Path, about: Machine, summaries: Iterable[Summary], **options: Any) -> None:
    """Write the results and the options of the run as JSON."""
    document = {"machine": about._asdict(), "options": options, "results": [as_json(summary) for summary in summaries]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _table(workload: str, summaries: Sequence[Summary]) -> Table:
    described = WORKLOADS[workload].description
    table = Table(title=f"[bold]{workload}[/]: {described}", title_justify="left")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "contender" else "right")
    for summary in summaries:
        table.add_row(*_cells(summary))
    return table


def _cells(summary: Summary) -> tuple[str, ...]:
    return (
        summary.title,
        f"{summary.events:,}",
        f"{summary.rate:,.0f} ({summary.slowest:,.0f}–{summary.fastest:,.0f})",
        f"{summary.second_half:,.0f}",
        "–" if summary.of_ceiling is None else f"{summary.of_ceiling:.0%}",
        f"{summary.client_cpu:.1f}",
        _seconds(summary.postgres_cpu),
        _seconds(summary.broker_cpu),
        f"{summary.peak_memory / 1_000_000:.0f}",
        f"{summary.rows_per_event:.2f}",
        f"{summary.wal_per_event:.0f}",
        _verdict(summary.wrong_rows),
    )


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f}"


def _verdict(wrong_rows: int | None) -> str:
    if wrong_rows is None:
        return "not checked"
    return "[green]yes[/]" if not wrong_rows else f"[red]no: {wrong_rows:,} differ[/]"


def _processor() -> str:
    try:
        described = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in described.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
