"""Virtual time: an event loop whose clock stands still while tasks work, and jumps to the next timer when none can."""

import asyncio
import sys
import time
from asyncio.events import _get_running_loop
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from heapq import heappop
from typing import Any
from unittest import mock

_CLOCKS = {"perf_counter": time.perf_counter, "monotonic": time.monotonic}


class StuckError(Exception):
    """Every task waits, and there is no timer: nothing will ever happen again."""


class VirtualClock(asyncio.BaseEventLoop):
    """The loop. Two runs that create the same tasks and timers take the same steps."""

    _ready: Any
    _scheduled: Any
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """As every loop does it, without checks for other threads."""
        handle = asyncio.Handle(callback, arguments, self, context)
        self._ready.append(handle)
        return handle

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call it at once: threads would run in an order of their own."""
        future = self.create_future()
        future.set_result(function(*arguments))
        return future

    def _run_once(self) -> None:
        """What can be done now, once; if there is nothing, the time of the next timer comes."""
        ready, timers = self._ready, self._scheduled
        while timers and timers[0]._cancelled:
            heappop(timers)._scheduled = False
        if not ready and not self._stopping:
            if not timers:
                raise StuckError
            self._now = max(self._now, timers[0]._when)
        while timers and timers[0]._when <= self._now:
            timer = heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _write_to_self(self) -> None:
        pass


@contextmanager
def virtual_time() -> Iterator[None]:
    """Let all modules of ours read the virtual clock of the loop that runs, instead of the machine's."""
    with ExitStack() as stack:
        for name, clock in _CLOCKS.items():
            virtual = _virtual(clock)
            stack.enter_context(mock.patch.object(time, name, virtual))
            for module in _ours():
                if vars(module).get(name) is clock:
                    stack.enter_context(mock.patch.object(module, name, virtual))
        yield


def clocks_of_the_machine() -> list[str]:
    """Where our modules hold a clock of the machine."""
    return [
        f"{module.__name__}.{name}"
        for module in _ours()
        for name, value in vars(module).items()
        if any(value is clock for clock in _CLOCKS.values())
    ]


def _ours() -> list[Any]:
    return [module for title, module in sorted(sys.modules.items()) if title.startswith("reelsync.consumer.")]


def _virtual(clock: Callable[[], float]) -> Callable[[], float]:
    def read() -> float:
        loop = _get_running_loop()
        return loop.time() if isinstance(loop, VirtualClock) else clock()

    return read
