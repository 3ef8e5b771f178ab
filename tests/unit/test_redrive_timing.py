"""When conflicts are redriven: when woken, while some are parked, and rarely, because others may have parked some."""

import asyncio

from reelsync.consumer.backoff import Backoff
from reelsync.consumer.dead_letters.name_conflicts import Redriven, redrive_until


async def test_it_looks_again_although_nothing_was_parked_and_nobody_woke_it() -> None:
    stop, looked = asyncio.Event(), asyncio.Semaphore(0)

    async def redrive() -> Redriven:
        looked.release()
        return Redriven(0, 0)

    running = asyncio.create_task(redrive_until(stop, asyncio.Event(), Backoff(0.001, 0.01), redrive))
    async with asyncio.timeout(30):
        for _ in range(3):
            await looked.acquire()
        stop.set()
        await running
