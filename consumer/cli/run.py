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
        await run_until_signal(Consumer(settings))

    run_async(consume())
