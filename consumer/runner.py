"""Running a consumer, or several as workers, until a signal comes, and waiting for servers that start later."""

import asyncio
import gc
import signal
from collections.abc import Callable
from contextlib import suppress

import structlog

from reelsync.consumer.postgres.sqlstate import describe
from reelsync.consumer.workers.monitor import WorkersMonitor
from reelsync.consumer.workers.supervisor import Supervisor

from .app import Consumer
from .backoff import Backoff
from .errors import UnavailableError
from .settings import Settings

_log = structlog.get_logger("reelsync")


async def run_until_signal(consumer: Consumer) -> None:
    """Run the consumer until SIGTERM or SIGINT, with the collector set for many short-lived objects.

    Raises:
        ReelsyncError: the consumer cannot start, or must not go on.
    """
    stop = _stop_on_signals()
    await _check_until_available(consumer, stop)
    tune_garbage_collector()
    kafka = consumer.settings.kafka
    _log.info("consumer.started", group=kafka.group_id, topics=sorted(kafka.topics))
    await consumer.run(stop)
    _log.info("consumer.stopped")


class Workers:
    """Several consumers as processes, with one HTTP endpoint for all of them.

    `relay` gets each line that they log. Without it they log where this process does.
    """

    def __init__(self, settings: Settings, count: int, relay: Callable[[bytes], None] | None = None) -> None:
        self.supervisor = Supervisor(settings.http, count, relay)
        self.monitor = WorkersMonitor(settings, self.supervisor)

    async def run_until_signal(self) -> None:
        """Run them until SIGTERM or SIGINT.

        Raises:
            ReelsyncError: one cannot start, or must not go on; or not all of them stopped cleanly.
        """
        await self.supervisor.run(_stop_on_signals())
        _log.info("workers.stopped")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _check_until_available(consumer: Consumer, stop: asyncio.Event) -> None:
    """Wait for servers that start later. If waiting cannot help, the error is raised at once."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            await consumer.check()
        except UnavailableError as error:
            consumer.health.failed("start", describe(error.__cause__ or error), outage=True)
            delay = backoff.next_delay()
            consumer.health.trying_again("start", delay)
            _log.warning("start.waiting", why=str(error), again_in_seconds=round(delay, 1))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay)
        else:
            consumer.health.recovered("start")
            return


def tune_garbage_collector() -> None:
    """Collect garbage less often: decoding makes many short-lived objects, none of them in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
