"""What all parts of a simulation share: the seed's choices, the virtual clock, the processes, and the trace."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .clock import VirtualClock, give_way

PROCESS: ContextVar["Process"] = ContextVar("process")
"""The simulated process that the present task belongs to; none for operators, servers and the simulation itself."""

_MANY_TASKS = 50
_AT_ONCE, _SOON, _LATER = 0.4, 0.93, 0.995
"""Shares of answers: without any delay; within 10 ms; within `slow`. The others take up to `slowest`."""


class ViolationError(AssertionError):
    """The consumer broke a promise."""


@dataclass(eq=False)
class Process:
    """A consumer's process, as its servers see it."""

    name: str
    brokers: Any
    members: int = 0
    """How many members of the group it has been so far."""
    alive: bool = True
    thaws_at: float = 0.0
    """Until then it is stopped, as by SIGSTOP: no answer reaches it."""
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    """In the order in which they began. Some may have ended."""

    def own(self, task: asyncio.Task[Any]) -> None:
        """Take a task that dies with the process, and drop those that have ended now and then."""
        if len(self.tasks) > _MANY_TASKS:
            self.tasks = [one for one in self.tasks if not one.done()]
        self.tasks.append(task)


class World:
    """One run. `rates` has how often each fault happens where it can; faults that are left out never happen."""

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.clock.on_task = _own
        self.clock.set_exception_handler(lambda _, context: self.note("unhandled:", context.get("exception")))
        self.rates: Mapping[str, float] = {}
        self.slow, self.slowest = 0.5, 0.5
        self.is_prompt = False
        """Whether nothing takes long, and nothing fails at random, so that whoever waits does so for a fault."""
        self.calm = False
        """Whether nothing fails any more, so that all must be applied soon."""
        self.happened: Counter[str] = Counter()
        self.trace: list[str] | None = [] if tracing else None
        self.violation: ViolationError | None = None

    def note(self, what: str, *more: object) -> None:
        """Add a line to the trace, if there is one."""
        if self.trace is not None:
            process = PROCESS.get(None)
            who = process.name if process else "-"
            self.trace.append(f"{self.clock.now:10.4f} {who:<4} {what} {' '.join(map(str, more))}".rstrip())

    def violated(self, what: str) -> ViolationError:
        """End the run with this, whatever becomes of the error that is returned."""
        self.note("VIOLATION", what)
        self.violation = self.violation or ViolationError(f"seed {self.seed}, at {self.clock.now:.4f} s: {what}")
        return self.violation

    def happens(self, fault: str) -> bool:
        """Whether this fault happens to the present process here and now: a choice of the seed."""
        rate = self.rates.get(fault)
        if rate is None or self.calm or PROCESS.get(None) is None or self.rng.random() >= rate:
            return False
        self.fault(fault)
        return True

    def fault(self, what: str, *more: object) -> None:
        """Take note of a fault."""
        self.happened[what] += 1
        self.note("FAULT", what, *more)

    async def step(self, place: str) -> None:
        """A request to a server. The seed decides how long it takes, who else works meanwhile, and who dies of it."""
        process = PROCESS.get(None)
        if process is None:
            await give_way()
            return
        if self.trace is not None:
            self.note(place)
        if not process.alive:
            raise asyncio.CancelledError
        if "killed" in self.rates and self.happens("killed"):
            self.kill(process)
            process.brokers.group.lost(process)
            raise asyncio.CancelledError
        delay = self._delay()
        if delay:
            await self.clock.after(delay)
        else:
            await give_way()
        if process.thaws_at > self.clock.now or not process.alive:
            await self.thaw()

    async def thaw(self) -> None:
        """Go on only if the present process is neither stopped nor dead."""
        process = PROCESS.get(None)
        if process is None:
            return
        while process.thaws_at > self.clock.now:
            await asyncio.sleep(process.thaws_at - self.clock.now)
        if not process.alive:
            raise asyncio.CancelledError

    def kill(self, process: Process) -> None:
        """End a process at once, as by SIGKILL: nothing that its tasks still do reaches a server."""
        process.alive = False
        for task in process.tasks:
            task.cancel()

    def _delay(self) -> float:
        share = self.rng.random()
        if share < _AT_ONCE:
            return 0.0
        if share < _SOON:
            return self.rng.random() * 0.01
        return self.rng.random() * (self.slow if share < _LATER else self.slowest)


def _own(task: asyncio.Task[Any]) -> None:
    if process := PROCESS.get(None):
        process.own(task)
