"""`python -m benchmarks.latency`: how old an event is when its row is committed, at several rates.

The time of an event is here the timestamp of its record in milliseconds, at which the publisher handed it over. So its
age at the commit is the time in producer, broker, consumer and database. The part of the database is given beside it,
by the consumer's own clock: fence and statements, and COMMIT.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.accounting import cpu_seconds
from benchmarks.contender_processes import BenchmarkError
from benchmarks.contenders import CONTENDERS, reelsync
from benchmarks.contenders.assignment import ROOT, Assignment, environment
from benchmarks.expected import prepare_database
from benchmarks.measure import measure
from benchmarks.published_log import published
from benchmarks.report import machine, widened
from benchmarks.servers import BrokerChoice, Servers, fresh_name, servers
from benchmarks.workloads import WORKLOADS
from reelsync.consumer.cli.terminal import complain
from reelsync.consumer.errors import ReelsyncError
from reelsync.testing.servers.topics import create_topics

_RATES = "0,100,1000,10000,half"
_PARTITIONS = 6
_BACKLOG = 150_000
_READY_SECONDS = 60.0
_STALLED_SECONDS = 60.0
_COLUMNS = (
    "rate",
    "reached",
    "core %",
    "batches",
    "age_p50",
    "age_p99",
    "age_max",
    "write_p50",
    "write_p99",
    "commit_p50",
    "commit_p99",
)

Figures = dict[str, Any]

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


async def latency(started: Servers, rates: list[str], seconds: float) -> list[Figures]:
    """The figures for each rate in events a second. `half` is half of one worker's rate with a backlog; 0 is no load.

    Raises:
        BenchmarkError: the consumer ended, was not ready, or made no progress.
    """
    found = []
    for named in rates:
        rate = float(named) if named != "half" else await _maximum(started) / 2
        found.append({"rate": round(rate)} | await _at_rate(started, rate, seconds))
    return found


async def _maximum(started: Servers) -> float:
    lifecycle = WORKLOADS["lifecycle"]
    async with published(started, lifecycle, seed=1, events=_BACKLOG, partitions=_PARTITIONS, check_rows=False) as log:
        return (await measure(started, log, CONTENDERS["reelsync-1"])).rate


async def _at_rate(started: Servers, rate: float, seconds: float) -> Figures:
    database, topic = fresh_name("latency"), fresh_name("latency")
    await started.create_database(database)
    try:
        await prepare_database(started, database, (), applied=False, rows_before=0)
        await create_topics(started.bootstrap_servers, {topic: _PARTITIONS})
        assignment = Assignment(
            started.bootstrap_servers, started.url(database), topic, _PARTITIONS, 0, fresh_name("group")
        )
        async with _consumer(assignment) as consumer:
            await _line(consumer, "ready", _READY_SECONDS)
            before, began_at = cpu_seconds([consumer.pid]), time.perf_counter()
            if rate:
                sent, reached = await _publish(started, topic, rate, seconds)
                await _until_committed(consumer, sent)
            else:
                reached = 0.0
                await asyncio.sleep(seconds)
            cpu = cpu_seconds([consumer.pid]) - before
            core = round(100 * cpu / (time.perf_counter() - began_at), 1)
            consumer.send_signal(signal.SIGTERM)
            return {"reached": reached, "core %": core} | await _last_line(consumer)
    finally:
        await started.drop_database(database)


@asynccontextmanager
async def _consumer(assignment: Assignment) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.observed_consumer"),
        env=environment() | reelsync.settings(assignment),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _publish(started: Servers, topic: str, rate: float, seconds: float) -> tuple[int, float]:
    arguments = (started.bootstrap_servers, topic, str(_PARTITIONS), str(rate), str(seconds))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.paced_publisher", *arguments),
        env=environment(),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise BenchmarkError("the publisher failed: see above")
    sent, reached = said.split()
    return int(sent), float(reached)


async def _until_committed(consumer: asyncio.subprocess.Process, records: int) -> None:
    done = 0
    while done < records:
        done = int(await _line(consumer, "", _STALLED_SECONDS))


async def _line(consumer: asyncio.subprocess.Process, wanted: str, seconds: float) -> str:
    """The next line that begins with these words."""
    if consumer.stdout is None:
        raise AssertionError("its output is a pipe")
    deadline = time.monotonic() + seconds
    while True:
        try:
            line = await asyncio.wait_for(consumer.stdout.readline(), deadline - time.monotonic())
        except TimeoutError:
            raise BenchmarkError(f"the consumer printed nothing for {seconds:g} s") from None
        if not line:
            raise BenchmarkError("the consumer ended: see above")
        if line.decode().startswith(wanted):
            return line.decode().strip()


async def _last_line(consumer: asyncio.subprocess.Process) -> Figures:
    figures: Figures = json.loads(await _line(consumer, "{", _STALLED_SECONDS))
    return figures


@app.command()
def main(
    rates: Annotated[str, typer.Option(envvar="RATES", help="Events a second, and `half` of the maximum.")] = _RATES,
    seconds: Annotated[
        float, typer.Option(envvar="SECONDS", min=4, help="Seconds for each rate; the first 2 do not count.")
    ] = 15.0,
    broker: Annotated[BrokerChoice, typer.Option(envvar="BROKER", help="kafka: Apache Kafka in Docker.")] = "embedded",
    json: Annotated[Path | None, typer.Option(envvar="JSON", help="File for the figures.")] = None,
) -> None:
    """Measure the age of events at their commit.

    Example: python -m benchmarks.latency --rates 100,1000
    """
    with servers(broker) as started:
        about = asyncio.run(machine(started))
        found = asyncio.run(latency(started, rates.split(","), seconds))
    table = Table(
        *_COLUMNS, title="Age of events at commit, and the database's part; milliseconds", title_justify="left"
    )
    for figures in found:
        table.add_row(*(f"{figures[column]:,}" if column in figures else "–" for column in _COLUMNS))
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
