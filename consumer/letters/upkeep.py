"""What a running consumer does for letters now and then."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from consumer.backoff import Backoff
from consumer.errors import describe

_EVERY_SECONDS = 3_600.0

_log = structlog.get_logger("reelsync.letters")


async def expire_until(
    stop: asyncio.Event, expire: Callable[[], Awaitable[int]], every: float = _EVERY_SECONDS
) -> None:
    """Blank what has expired, once at the start and then every hour; what keeps the database away is waited out."""
    backoff = Backoff()
    while not stop.is_set():
        wait = every
        try:
            blanked = await expire()
            backoff.reset()
            if blanked:
                _log.info("letters.expired", blanked=blanked)
        except Exception as error:  # noqa: BLE001 - whatever it is, events go on being consumed
            _log.warning("letters.expiring_failed", error=describe(error))
            wait = min(every, backoff.next_delay())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
