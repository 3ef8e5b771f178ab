"""Closing what would stay open if the caller were cancelled meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def to_the_end(work: Coroutine[Any, Any, object]) -> None:
    """Do all of this. A cancellation of the caller, and each further one, is raised after it.

    A task that is stopped while it closes a client may be the last one of its event loop: nobody would close the rest.
    """
    doing = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        await asyncio.gather(doing, return_exceptions=True)
        raise cancelled
    doing.result()
