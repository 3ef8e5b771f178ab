"""Waiting between attempts: longer each time, and at random, so that many clients do not try at the same moment."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Backoff:
    """Exponential, with full jitter. Source: AWS Architecture Blog, "Exponential Backoff And Jitter"."""

    shortest: float = 0.1
    longest: float = 3.0
    attempts: int = 0

    def next_delay(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = min(self.longest, self.shortest * 2 ** min(self.attempts, 30))
        self.attempts += 1
        return random.uniform(self.shortest / 2, ceiling)  # noqa: S311 - jitter, not a secret

    async def wait(self, tell: Callable[[float], None] | None = None) -> float:
        """Wait; returns the seconds. `tell` is called with them before."""
        delay = self.next_delay()
        if tell:
            tell(delay)
        await asyncio.sleep(delay)
        return delay

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self.attempts = 0
