"""Waiting between attempts: longer each time, and never in step with others who wait for the same thing."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Backoff:
    """Exponential, with full jitter. Source: AWS Architecture Blog, "Exponential Backoff And Jitter"."""

    shortest: float = 0.1
    longest: float = 10.0
    attempts: int = 0

    def next_delay(self) -> float:
        """Seconds to wait before the next attempt."""
        ceiling = min(self.longest, self.shortest * 2 ** min(self.attempts, 30))
        self.attempts += 1
        return random.uniform(self.shortest / 2, ceiling)  # noqa: S311 - jitter, not a secret

    async def wait(self, tell: Callable[[float], None] | None = None) -> float:
        """Wait; the seconds waited. `tell` is told of them before."""
        delay = self.next_delay()
        if tell:
            tell(delay)
        await asyncio.sleep(delay)
        return delay

    def reset(self) -> None:
        """It worked: begin anew."""
        self.attempts = 0
