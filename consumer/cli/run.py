"""`reelsync run`."""

from contextlib import nullcontext

import structlog
import typer

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.runner import Workers, run_until_signal
from reelsync.consumer.settings import Settings
from reelsync.consumer.status.document import Status

from .live import is_for_people, live_view, print_above
from .terminal import load, run_async

_log = structlog.get_logger("reelsync")


def run(workers: int, *, no_live: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    live = not no_live and is_for_people(settings.log)
    try:
        run_async(_run_one(settings, live=live) if workers == 1 else _run_many(settings, workers, live=live))
    except ReelsyncError as error:
        if settings.log.format == "console":
            raise
        # What reads the log as JSON reads the last line too.
        _log.error("consumer.halted", why=str(error))
        raise typer.Exit(error.exit_code) from error


async def _run_one(settings: Settings, *, live: bool) -> None:
    consumer = Consumer(settings)

    async def status() -> Status:
        return consumer.monitor.status()

    async with consumer.monitor.serving(), live_view(status, consumer.seen.task_failed) if live else nullcontext():
        await run_until_signal(consumer)


async def _run_many(settings: Settings, count: int, *, live: bool) -> None:
    workers = Workers(settings, count, print_above if live else None)

    async def status() -> Status:
        await workers.monitor.refresh()
        return workers.monitor.status()

    async with workers.monitor.serving(), live_view(status, workers.supervisor.task_failed) if live else nullcontext():
        await workers.run_until_signal()
