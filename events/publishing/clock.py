"""A hybrid logical clock: it makes versions for a service whose rows have no version.

Source: Kulkarni, Demirbas, Madeppa, Avva, Leone, "Logical Physical Clocks and Consistent Snapshots in Globally
Distributed Databases" (2014), figure 5. A time is a pair there: `l` is the highest wall time that was seen, and `c`
counts what happens within the same wall time. Here it is one integer: the milliseconds since 1970, times 1,024, plus
the counter. So the greater integer is the later time, and a counter that is full adds a millisecond.
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
    """Gives versions. Each is higher than the one before, and near the time of the wall clock. Threads may share it.

    `next(after)` promises this:

    - The version is higher than `after`, and higher than every version that this clock gave before.
    - Give `after` the version that is stored with the aggregate's row, and read it while you hold the lock for writing
      the row. Then the new version is higher than every earlier version of this aggregate. That holds when the service
      restarts, when another machine writes, and when the wall clock is set back.
    - Without `after` it holds only under two conditions. No other clock may give versions for the same aggregate. And
      the wall clock may not be set back, while the service restarts, by more time than the service is down.
    - Until the year 2248 every version is below 2^53, so that every language can read it from JSON exactly.

    Args:
        last: The highest version that was given before, if the service kept it, else 0.
        node: The number of this writer, from 0 to `nodes` - 1.
        nodes: How many writers may publish about one aggregate at the same time. Two writers never give the same
            version. If neither knows the other's version, their wall clocks decide whose is higher.
        wall_clock: Returns the milliseconds since 1970.
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
        """A version that is higher than `after`, and higher than every version that this clock gave before.

        Raises:
            ValueError: no version is higher, because `after` is not a version, or says that the aggregate is erased.
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
    """The wall time that a version of a HybridClock holds, to the millisecond. It helps people who look for an event.

    Raises:
        OverflowError: the version would be of a time after the year 9999, so it is not from a HybridClock.
    """
    return EARLIEST_TIME.astimezone(UTC) + timedelta(milliseconds=version >> _COUNTER_BITS)
