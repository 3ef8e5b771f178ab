"""`reelsync run`."""

from consumer.app import Consumer, run_until_signal
from consumer.settings import Settings

from .terminal import load, run_async


def run() -> None:
    """Consume events until SIGTERM or SIGINT.

    Example: REELSYNC_DATABASE__URL=postgresql+asyncpg://… reelsync run
    """
    settings = load(Settings)

    async def consume() -> None:
        consumer = Consumer(settings)
        async with consumer.monitor.serving():
            await run_until_signal(consumer)

    run_async(consume())
