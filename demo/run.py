"""The demo, from nothing to a verified result: serve, migrate, publish, consume, report, verify."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import track

from demo.day import Day, DayRecord, generate_day
from demo.report import Rows, print_report, read_report, time_spent
from demo.verify import verify
from demo.watch import Progression, shown
from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import HaltedError
from reelsync.consumer.runner import tune_garbage_collector
from reelsync.consumer.settings import DEFAULT_TOPICS, Settings
from reelsync.consumer.telemetry.logs import configure_logs
from reelsync.migrations.runner import upgrade
from reelsync.testing.servers.embedded import Services, embedded_services

_PARTITIONS = 6
_IN_FLIGHT = 5_000
_REFRESH_SECONDS = 0.1
_STALLED_SECONDS = 60.0
_NEXT_COMMANDS = (
    ".venv/bin/reelsync check",
    ".venv/bin/reelsync dlq list --count",
    ".venv/bin/reelsync verify",
    ".venv/bin/reelsync publish examples/lifecycle.jsonl",
    ".venv/bin/reelsync run",
)


async def run_demo(*, events: int, seed: int, keep: bool, as_json: bool) -> bool:
    """Run the demo. Returns whether every row agrees."""
    console = Console(stderr=as_json)
    console.print("[bold]demo[/]: a day of a video product, on an embedded PostgreSQL and an embedded broker\n")
    with _servers(console) as running:
        settings = await _prepared(running)
        day = _made_up(console, seed, events)
        await _publish(console, settings, day.records)
        report = await _consume_and_check(console, settings, day.records)
        if as_json:
            sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")
        if keep:
            await _keep(console, settings)
        return not report["differences"]


@contextmanager
def _servers(console: Console) -> Iterator[Services]:
    """Embedded servers. Whatever ends the block, Ctrl-C too, they are stopped, and it says so."""
    services = embedded_services()
    with console.status("Starting PostgreSQL and the broker…"):
        running = services.__enter__()
    try:
        yield running
    finally:
        with console.status("Stopping PostgreSQL and the broker…"):
            services.__exit__(None, None, None)
        console.print("Stopped PostgreSQL and the broker, and removed their data.")


async def _prepared(services: Services) -> Settings:
    """Prepare a migrated database and the topics, and return settings for them."""
    services.postgres.create_database("reelsync")
    url = services.postgres.url("reelsync")
    await upgrade(url)
    await services.broker.create_topics(dict.fromkeys(DEFAULT_TOPICS, _PARTITIONS))
    kafka = {"bootstrap_servers": services.broker.bootstrap_servers, "session_timeout_ms": 2_000}
    settings = Settings.model_validate({"kafka": kafka, "database": {"url": url}, "log": {"level": "WARNING"}})
    configure_logs(settings.log)
    return settings


def _made_up(console: Console, seed: int, events: int) -> Day:
    with console.status("Making up a day…"):
        day = generate_day(seed, events)
    poison = sum(record.expected not in {"event", "tombstone"} for record in day.records)
    console.print(f"A day of {len(day.records):,} records, {poison:,} of them poison (seed {seed})")
    return day


async def _publish(console: Console, settings: Settings, records: Sequence[DayRecord]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers,
        acks="all",
        linger_ms=5,
        max_batch_size=1_048_576,
        max_request_size=8_388_608,
    )
    await producer.start()
    try:
        waiting: list[asyncio.Future[Any]] = []
        for record in track(records, "Publishing", console=console):
            headers = list(record.headers)
            sent = await producer.send(
                record.topic, record.value, key=record.key, headers=headers, timestamp_ms=record.timestamp_ms
            )
            waiting.append(sent)
            if len(waiting) >= _IN_FLIGHT:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


async def _consume_and_check(console: Console, settings: Settings, records: Sequence[DayRecord]) -> dict[str, Any]:
    progression = Progression()
    consumer = Consumer(settings, observe=progression.observe)
    async with _running(consumer), consumer.engine.connect() as connection:
        await _watched(console, progression, len(records))
        throughput: Rows = [
            {
                "records": progression.records,
                "dead_letters": progression.dead_letters,
                "batches": progression.batches,
                "seconds": round(progression.seconds, 2),
                "records_per_second": round(progression.rate),
            }
        ]
        report = await read_report(connection) | {"Throughput": throughput} | time_spent(consumer.metrics)
        print_report(console, report)
        with console.status("Verifying every row…"):
            found = await verify(connection, records)
    if progression.records != len(records):
        found.append(f"{len(records):,} records were published, {progression.records:,} were consumed")
    for difference in found[:20]:
        console.print(f"[red]✗[/] {difference}", markup=True, highlight=False)
    if not found:
        console.print("\n[bold green]✓ Every row agrees with an independent calculation from what was published.[/]")
    return report | {"differences": found}


@asynccontextmanager
async def _running(consumer: Consumer) -> AsyncIterator[None]:
    tune_garbage_collector()
    stop = asyncio.Event()
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _watched(console: Console, progression: Progression, total: int) -> None:
    """Show progress until all records are consumed.

    Raises:
        HaltedError: nothing happened for a minute.
    """
    with shown(console, total) as display:
        moved_at, seen = time.monotonic(), 0
        while progression.records < total:
            await asyncio.sleep(_REFRESH_SECONDS)
            display.update(progression)
            if progression.records != seen:
                moved_at, seen = time.monotonic(), progression.records
            elif time.monotonic() - moved_at > _STALLED_SECONDS:
                raise HaltedError(
                    f"the consumer makes no progress beyond {seen:,} of {total:,} records: see the log above"
                )


async def _keep(console: Console, settings: Settings) -> None:
    console.print("\nThe servers stay up until Ctrl-C. Paste this into another terminal, in this directory:\n")
    for line in (
        f"export REELSYNC_KAFKA__BOOTSTRAP_SERVERS={settings.kafka.bootstrap_servers}",
        f"export REELSYNC_DATABASE__URL={settings.database.url.get_secret_value()}",
        *_NEXT_COMMANDS,
    ):
        console.print(line, soft_wrap=True, highlight=False)
    console.print("\nThen open http://127.0.0.1:8080. What to try next: docs/first-hour.md")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
