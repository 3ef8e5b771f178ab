"""Virtual time: an event loop whose clock stands still while tasks work, and jumps to the next timer when none can."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, copy_context
from heapq import heappop, heappush
from types import CoroutineType, coroutine
from typing import Any, ClassVar
from unittest import mock

_CLOCKS = {"perf_counter": time.perf_counter, "monotonic": time.monotonic}
_ENDLESS = 20_000
"""Calls at one moment that are no coincidence: hundreds are usual."""


class StuckError(Exception):
    """Every task waits, and there is no timer: nothing will ever happen again."""


class SpinningError(Exception):
    """Some tasks work without end, and none of them ever waits."""


@coroutine
def give_way() -> Iterator[None]:
    """Let others work, as `asyncio.sleep(0)` does it."""
    yield


class Timer:
    """Something to be called later, unless it is cancelled before."""

    __slots__ = ("_context", "_when", "arguments", "callback")

    def __init__(
        self, when: float, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context | None
    ) -> None:
        self._when = when
        self._context: Context | None = context or copy_context()
        self.callback = callback
        self.arguments = arguments

    def when(self) -> float:
        """The time of the call."""
        return self._when

    def cancel(self) -> None:
        """Do not call it."""
        self._context = None

    def cancelled(self) -> bool:
        """Whether it will not be called."""
        return self._context is None

    def done(self) -> bool:
        """Whether there is nothing left to do, as of a future."""
        return self._context is None

    def run(self, callback: Callable[..., object], *arguments: object) -> None:
        """Call it in its context, if it was not cancelled since its time came."""
        if self._context is not None:
            self._context.run(callback, *arguments)


class VirtualClock(asyncio.BaseEventLoop):
    """The loop. Two runs that create the same tasks and timers take the same steps.

    A run is a thousand calls of this class, so that it does without what loops for sockets and threads need. What is
    ready is called in turn, until nothing is; then the earliest timer is due, of equal ones the one that was set first.
    """

    running: ClassVar["VirtualClock | None"] = None
    """The one that runs now."""

    _ready: "deque[tuple[Callable[..., object], Callable[..., object], tuple[Any, ...]]]"  # type: ignore[assignment]
    """What is to be called, in the context whose `run` comes first."""
    _stopping: bool

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.on_task: Callable[[asyncio.Task[Any]], None] = lambda _task: None
        """Called with each new task."""
        self._timers: list[tuple[float, int, Timer | asyncio.Future[None]]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *arguments: Any, context: Context | None = None) -> Any:
        """Call it when its turn comes. Tasks and futures pass their context, and never cancel a call."""
        if context is not None:
            self._ready.append((context.run, callback, arguments))
            return None
        timer = Timer(self.now, callback, arguments, None)
        self._ready.append((timer.run, callback, arguments))
        return timer

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Context | None = None) -> Any:
        timer = Timer(when, callback, arguments, context)
        self._count += 1
        heappush(self._timers, (when, self._count, timer))
        return timer

    def call_later(self, delay: float, callback: Any, *arguments: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *arguments, context=context)

    def after(self, seconds: float) -> "asyncio.Future[None]":
        """A future that is done after so long, if nobody ends it before."""
        future: asyncio.Future[None] = asyncio.Future(loop=self)
        self._count += 1
        heappush(self._timers, (self.now + seconds, self._count, future))
        return future

    def create_task(self, work: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(work, loop=self, name=name, context=context)
        self.on_task(task)
        return task

    get_debug = staticmethod(bool)  # type: ignore[assignment]
    """No; asked for at each task and future."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def run_in_executor(self, _executor: Any, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call it at once: threads would run in an order of their own."""
        future = self.create_future()
        future.set_result(function(*arguments))
        return future

    def run_forever(self) -> None:
        VirtualClock.running = self
        try:
            super().run_forever()
        finally:
            VirtualClock.running = None

    def _run_once(self) -> None:
        """Do all that can be done now; if there is nothing, what the next timer is for."""
        ready = self._ready
        if not ready and not self._stopping:
            self._go_to_next_timer()
        calls = 0
        while ready and not self._stopping:
            calls += 1
            if calls > _ENDLESS:
                raise SpinningError
            run, callback, arguments = ready.popleft()
            try:
                run(callback, *arguments)
            except Exception as error:  # noqa: BLE001 - as every loop does it
                self.call_exception_handler({"message": "a call failed", "exception": error})

    def _go_to_next_timer(self) -> None:
        timers = self._timers
        while timers:
            when, _, timer = heappop(timers)
            if not timer.done():
                self.now = max(self.now, when)
                if isinstance(timer, Timer):
                    self._ready.append((timer.run, timer.callback, timer.arguments))
                else:
                    timer.set_result(None)
                return
        raise StuckError

    def _write_to_self(self) -> None:
        pass


@contextmanager
def virtual_time() -> Iterator[None]:
    """Let all modules of ours read the virtual clock of the loop that runs, instead of the machine's."""
    with ExitStack() as stack:
        for name, clock in _CLOCKS.items():
            virtual = _virtual(clock)
            stack.enter_context(mock.patch.object(time, name, virtual))
            for module in modules_of_ours():
                if vars(module).get(name) is clock:
                    stack.enter_context(mock.patch.object(module, name, virtual))
        # asyncio asks both at almost every turn. It would call the operating system, and look through abstract classes.
        stack.enter_context(mock.patch.object(asyncio.events, "get_running_loop", _running_loop))
        stack.enter_context(mock.patch.object(asyncio.coroutines, "iscoroutine", _is_coroutine))
        yield


def clocks_of_the_machine() -> list[str]:
    """Where our modules hold a clock of the machine."""
    return [
        f"{module.__name__}.{name}"
        for module in modules_of_ours()
        for name, value in vars(module).items()
        if any(value is clock for clock in _CLOCKS.values())
    ]


def modules_of_ours() -> list[Any]:
    """The modules of the consumer, in a fixed order."""
    return [module for title, module in sorted(sys.modules.items()) if title.startswith("reelsync.consumer.")]


def _virtual(clock: Callable[[], float]) -> Callable[[], float]:
    def read() -> float:
        running = VirtualClock.running
        return clock() if running is None else running.now

    return read


_get_running_loop = asyncio.get_running_loop


def _running_loop() -> asyncio.AbstractEventLoop:
    return VirtualClock.running or _get_running_loop()


def _is_coroutine(one: object) -> bool:
    return type(one) is CoroutineType
