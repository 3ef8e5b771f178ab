"""Versions for a service that has no row version: a hybrid logical clock.

Source: Kulkarni, Demirbas, Madeppa, Avva, Leone, "Logical Physical Clocks and Consistent Snapshots in Globally
Distributed Databases" (2014), figure 5. Their pair (l, c), the highest wall time seen and a counter within it, is one
integer here: milliseconds since 1970, times 1,024, plus the counter. So comparing integers compares the pairs, and a
counter that is full carries into the milliseconds.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from ..fields import EARLIEST_TIME, MAX_VERSION

_COUNTER_BITS = 10
_NANOSECONDS = 1_000_000
_LATEST_MS = 2**43 - 1


def wall_clock_ms() -> int:
    """Milliseconds since 1970 by the clock of the machine, which may be set back."""
    return time.time_ns() // _NANOSECONDS


class HybridClock:
    """Gives versions that rise with every call, near the wall clock, whatever that does. Safe to share between threads.

    What it promises, `v` being what `next(after)` returns:

    - `v` is greater than `after`, and than all that this clock gave before.
    - With `after` the version stored with the aggregate's row, read under the lock that the writer holds: greater than
      any version of that aggregate, across restarts, machines and steps of the clock.
    - Without: only as long as the wall clock was not set back, across the restart, by more than the service was down,
      and no second clock gives versions for the same aggregate.
    - `v` is below 2^53 before the year 2248, so that JSON in any language keeps it.

    Args:
        last: The highest version given before, if the service kept one; 0 if not.
        node: Which of `nodes` writers this is, from 0.
        nodes: How many writers may publish about one aggregate at the same time. Each gives other numbers, so that two
            never give the same; which of two that did not know of each other is higher is left to their wall clocks.
        wall_clock: Milliseconds since 1970.
    """

    def __init__(
        self, *, last: int = 0, node: int = 0, nodes: int = 1, wall_clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        if not 0 <= node < nodes:
            raise ValueError(f"node must be one of 0 to {nodes - 1}, and is {node}")
        if not 0 <= last <= MAX_VERSION:
            raise ValueError("last must be a version, from 1 to 2^62 - 1, or 0")
        self._last = last
        self._node = node
        self._nodes = nodes
        self._wall_clock = wall_clock
        self._lock = Lock()

    def next(self, after: int = 0) -> int:
        """A version above `after` and above all given before.

        Raises:
            ValueError: there is none: `after` is no version, or belongs to an aggregate that was erased.
        """
        if not 0 <= after <= MAX_VERSION:
            raise ValueError(
                "after must be a version, from 1 to 2^62 - 1, or 0; higher ones are erasures, which no event follows"
            )
        with self._lock:
            physical = min(max(self._wall_clock(), 0), _LATEST_MS) << _COUNTER_BITS
            least = max(physical, self._last + 1, after + 1)
            version = least + (self._node - least) % self._nodes
            if version > MAX_VERSION:
                raise ValueError("no version is left below 2^62: a publisher of this aggregate used the highest one")
            self._last = max(self._last, version)
            return version


def time_of(version: int) -> datetime:
    """The wall time in a version of a HybridClock, to the millisecond: for people who look for an event.

    Raises:
        OverflowError: it is of no HybridClock: a time beyond the year 9999.
    """
    return EARLIEST_TIME.astimezone(UTC) + timedelta(milliseconds=version >> _COUNTER_BITS)
