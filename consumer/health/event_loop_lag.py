"""How long the event loop was held: by code that does not yield, a paging machine, a stopped process."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import inf

_INTERVAL = 0.25
_NOTICED = 1.0
"""Seconds. What holds the loop for less is ordinary work on a busy machine."""
WINDOW = 60.0
"""Seconds that `held` is about."""


class Heartbeat:
    """A task that should wake four times a second, and notes by how much it was late.

    A loop that is held for good answers no probe at all; this shows the one that is held again and again, between
    answers. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + _INTERVAL
        self._late: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Beat until cancelled. While nobody beats, nothing is known, and so nothing is held against the loop."""
        self._due = self._clock() + _INTERVAL
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                self.beat()
        finally:
            self._due = inf

    def beat(self) -> None:
        """Note by how much this is late."""
        now = self._clock()
        if now - self._due > _NOTICED:
            self._late.append((now, now - self._due))
        while self._late and self._late[0][0] <= now - WINDOW:
            self._late.popleft()
        self._due = now + _INTERVAL

    def held(self) -> float:
        """Seconds of the last minute in which the loop was held, for a second or more each time."""
        now = self._clock()
        present = now - self._due if now - self._due > _NOTICED else 0.0
        past = sum(min(late, at - now + WINDOW) for at, late in self._late if at > now - WINDOW)
        return min(WINDOW, present + past)
