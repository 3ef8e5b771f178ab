"""A clock that stands still while the whole process does: stopped by a signal, or on a machine that is suspended.

The event loop of such a process was not blocked, and nothing in it is stuck, so a restart would help nobody.
"""

import threading
import time
from collections.abc import Callable

_TICK_SECONDS = 0.25
_NOTICED_SECONDS = 1.0
"""A thread that wakes later than this was not only waiting for its turn."""
_WORKING_SHARE = 0.5
"""A process that used this share of a processor meanwhile did not stand still: something kept its threads from running.
"""


class RunningClock:
    """Seconds that pass while the process runs. A thread beside the event loop shows when it does not.

    A loop that waits for something leaves other threads alone, and one that calculates uses the processor. Only a
    process that stands still does neither.

    Args:
        clock: Monotonic, in seconds.
        processor: The seconds of processor time that the process has used.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, processor: Callable[[], float] = time.process_time
    ) -> None:
        self._clock = clock
        self._processor = processor
        self._stood_still = 0.0
        self._ticked: tuple[float, float] | None = None
        """When the thread ran last, by both clocks; None while it does not run."""
        self._lock = threading.Lock()
        self._ending = threading.Event()

    def __call__(self) -> float:
        """The seconds of this clock."""
        with self._lock:
            now = self._clock()
            return now - self._stood_still - self._stands_still(now)

    def start(self) -> None:
        """Begin to watch whether the process runs."""
        self._ending.clear()
        self._tick()
        threading.Thread(target=self._run, name="running-clock", daemon=True).start()

    def stop(self) -> None:
        """End the thread. From now on no time is left out."""
        with self._lock:
            self._ending.set()
            self._ticked = None

    def _run(self) -> None:
        while not self._ending.wait(_TICK_SECONDS):
            self._tick()

    def _tick(self) -> None:
        """Note that the process runs."""
        with self._lock:
            if not self._ending.is_set():
                now = self._clock()
                self._stood_still += self._stands_still(now)
                self._ticked = now, self._processor()

    def _stands_still(self, now: float) -> float:
        """For how long the process has stood still since the thread ran last."""
        if self._ticked is None:
            return 0.0
        ticked, worked = self._ticked
        late = now - ticked - _NOTICED_SECONDS
        is_working = self._processor() - worked > _WORKING_SHARE * late
        return 0.0 if late <= 0 or is_working else late
