"""How long the event loop was blocked: by code that does not yield, or by a swapping machine."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import inf

_INTERVAL = 0.25
_NOTICED = 1.0
"""Seconds. Shorter delays are normal on a busy machine."""
WINDOW = 60.0
"""The last seconds that `held` covers."""


class Heartbeat:
    """A task that should wake four times a second, and notes how late it wakes.

    A loop that is blocked for ever answers no probe. This task shows one that is blocked again and again, with answers
    in between. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + _INTERVAL
        self._late: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Run until cancelled. While it does not run, the loop does not count as blocked."""
        self._due = self._clock() + _INTERVAL
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                self.beat()
        finally:
            self._due = inf

    def beat(self) -> None:
        """Note the delay of this wake-up."""
        now = self._clock()
        if now - self._due > _NOTICED:
            self._late.append((now, now - self._due))
        while self._late and self._late[0][0] <= now - WINDOW:
            self._late.popleft()
        self._due = now + _INTERVAL

    def held(self) -> float:
        """Seconds of the last minute in which the loop was blocked, counting delays of a second or more."""
        now = self._clock()
        present = now - self._due if now - self._due > _NOTICED else 0.0
        past = sum(min(late, at - now + WINDOW) for at, late in self._late if at > now - WINDOW)
        return min(WINDOW, present + past)
