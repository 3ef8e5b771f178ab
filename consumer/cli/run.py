"""`reelsync run`."""

from typing import Annotated

import typer

from consumer.app import Consumer, run_until_signal, run_workers
from consumer.settings import Settings

from .terminal import load, run_async


def run(
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the group's partitions.")] = 1,
) -> None:
    """Consume events until SIGTERM or SIGINT.

    Example: reelsync run --workers 2
    """
    settings = load(Settings)
    run_async(_consume(settings) if workers == 1 else run_workers(settings, workers))


async def _consume(settings: Settings) -> None:
    consumer = Consumer(settings)
    async with consumer.monitor.serving():
        await run_until_signal(consumer)
