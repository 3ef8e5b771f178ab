"""`reelsync run`."""

import os
from contextlib import nullcontext

import structlog
import typer

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.runner import Workers, run_until_signal
from reelsync.consumer.settings import LogSettings, Settings
from reelsync.consumer.settings.variables import PREFIX
from reelsync.consumer.status.document import Status
from reelsync.consumer.telemetry.logs import configure_logs

from .live import is_for_people, live_view, print_above
from .terminal import load, run_async

_log = structlog.get_logger("reelsync")


def run(workers: int, *, no_live: bool) -> None:
    """Carry out the command."""
    as_json = os.environ.get(f"{PREFIX}LOG__FORMAT") == "json"
    try:
        settings = load(Settings)
        as_json = settings.log.format == "json"
        live = not no_live and is_for_people(settings.log)
        run_async(_run_one(settings, live=live) if workers == 1 else _run_many(settings, workers, live=live))
    except ReelsyncError as error:
        if not as_json:
            raise
        # What reads the log as JSON reads the last line too, also the one that says that the settings are wrong.
        configure_logs(LogSettings.model_validate({"format": "json"}))
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
