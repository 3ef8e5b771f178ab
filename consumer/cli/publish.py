"""`reelsync publish`: events from JSON Lines, validated and sent to the topics of the settings."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.producer import publishing
from reelsync.consumer.settings import BrokerSettings, KafkaSettings
from reelsync.events import InvalidEventError, aggregate_id, aggregate_of, parse_event
from reelsync.events.publishing import OutgoingRecord, deliver

from .terminal import UsageError, complain, err, load, print_json, run_async

_IN_FLIGHT = 2_000
_SHOWN_PROBLEMS = 20


def publish(file: str, *, json: bool) -> None:
    """Carry out the command."""
    settings = load(BrokerSettings).kafka
    problems: list[str] = []
    with ExitStack() as stack:
        source = stack.enter_context(_opened(file)) if file != "-" else sys.stdin.buffer
        sent = run_async(_send(settings, _lines(source, settings, problems)))
    if json:
        print_json({"published": sent, "invalid": len(problems), "problems": problems[:_SHOWN_PROBLEMS]})
    else:
        err.print(f"Published {sent:,} events.")
        for problem in problems[:_SHOWN_PROBLEMS]:
            complain(problem)
        if len(problems) > _SHOWN_PROBLEMS:
            complain(f"and {len(problems) - _SHOWN_PROBLEMS:,} more invalid lines")
    if problems:
        raise typer.Exit(1)


def _opened(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def _lines(source: BinaryIO, settings: KafkaSettings, problems: list[str]) -> Iterator[OutgoingRecord]:
    """Yield the valid events, byte for byte as they were written, and add the errors of other lines to `problems`."""
    # Events of the contract do not belong into topics that Debezium fills.
    native = [(topic, about) for topic, about in settings.topics.items() if isinstance(about, str)]
    topics = {aggregate: topic for topic, aggregate in reversed(native)}
    for number, line in enumerate(_read(source), start=1):
        value = line.strip()
        if not value:
            continue
        try:
            event = parse_event(value)
        except InvalidEventError as error:
            problems.append(f"line {number}: {error}")
            continue
        aggregate = aggregate_of(event)
        if len(value) > settings.max_value_bytes:
            problems.append(f"line {number}: over REELSYNC_KAFKA__MAX_VALUE_BYTES ({settings.max_value_bytes:,})")
        elif aggregate not in topics:
            problems.append(f"line {number}: no topic of REELSYNC_KAFKA__TOPICS is for {aggregate} events")
        else:
            yield OutgoingRecord(topics[aggregate], aggregate_id(event).encode(), value, (), event["id"], event["type"])


def _read(source: BinaryIO) -> Iterator[bytes]:
    try:
        yield from source
    except OSError as error:
        message = (
            f"{source.name} cannot be read to its end ({error.strerror}). Publish it again when it can be read: events "
            "that were sent already do no harm"
        )
        raise ReelsyncError(message) from error


async def _send(settings: KafkaSettings, lines: Iterator[OutgoingRecord]) -> int:
    """Send all, each acknowledged by all in-sync replicas. Sending one twice does no harm: the merge is idempotent.

    Raises:
        ReelsyncError: the brokers did not acknowledge all of them.
    """
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} events published"), TimeElapsedColumn())
    async with publishing(settings) as producer:
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task("", total=None)
            sent = 0
            while waiting := list(islice(lines, _IN_FLIGHT)):
                sent += len(await deliver(producer, waiting))
                progress.update(task, completed=sent)
            return sent
