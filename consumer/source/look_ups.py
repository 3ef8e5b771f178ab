"""Looking up beside polling, so that a broker that answers slowly holds up nobody who can be read."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

import structlog
from aiokafka.errors import KafkaError

from reelsync.consumer.errors import KafkaFailedError, MisconfiguredError, UnavailableError
from reelsync.consumer.postgres.sqlstate import describe

_SLICE_SECONDS = 0.2
_AGAIN_SECONDS = 1.0
_END_SECONDS = 1.0
_OF_THE_BROKERS = (KafkaError, KafkaFailedError, UnavailableError, MisconfiguredError)

_log = structlog.get_logger("reelsync.source")

Found = TypeVar("Found")


class LookUps(Generic[Found]):
    """One look-up at a time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Found] | None = None
        self._dropped: set[asyncio.Task[Any]] = set()
        self._not_before = 0.0

    def may_start(self, *, soon: bool) -> bool:
        """Whether none is running, and the latest has not just failed. The latter does not matter `soon`."""
        return self._task is None and (soon or time.monotonic() >= self._not_before)

    def start(self, work: Coroutine[Any, Any, Found]) -> None:
        """Begin one."""
        self._task = asyncio.create_task(work)

    async def found(self, *, wait: bool) -> Found | None:
        """What was found, once; None if nothing is being looked up, or is not found yet. With `wait` until it is.

        Raises:
            Exception: what the look-up failed with. Without `wait` a failure of the brokers is only logged.
        """
        task = self._task
        if task is None:
            return None
        while wait and not task.done() and task is self._task:
            await asyncio.wait({task}, timeout=_SLICE_SECONDS)
        if not task.done() or task is not self._task:
            return None
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error:
            self._not_before = time.monotonic() + _AGAIN_SECONDS
            if not wait and isinstance(error, _OF_THE_BROKERS):
                _log.warning("look_up.failed", error=describe(error), then="tried again; other partitions are read")
                return None
        return task.result()

    def drop(self) -> None:
        """Forget what is being looked up, because it is out of date."""
        task, self._task = self._task, None
        self._not_before = 0.0
        if task is not None:
            self._dropped.add(task)
            task.add_done_callback(self._forget)
            task.cancel()

    async def end(self) -> None:
        """End what is running. What does not end soon goes on ending in the background."""
        self.drop()
        if self._dropped:
            await asyncio.wait(self._dropped, timeout=_END_SECONDS)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._dropped.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # Whatever it is, nobody waits for it any more.
