"""Whether the consumer is alive and ready, from what its parts report.

A restart only helps a consumer that is stuck, so only a stuck consumer is not alive. A part that waits for an outage to
end reports a sign of life with each attempt. The clocks are monotonic, and nothing that is stored depends on them.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from reelsync.consumer.observer import Activity, Server

from .event_loop_lag import WINDOW, Heartbeat
from .running_clock import RunningClock

NOT_ASKED = "not asked yet"


@dataclass
class BackingOff:
    """An activity that failed and is tried again: the latest reason, since when, and how often.

    `server`: whose failure it was, if known. `next_at`: when the next attempt begins; None during an attempt.
    """

    why: str
    since: float
    outage: bool
    server: Server | None = None
    attempts: int = 1
    next_at: float | None = None


def servers_away(unreachable: Mapping[Server, str], backing_off: Mapping[Activity, BackingOff]) -> set[Server]:
    """Servers that did not answer the last check, or whose return an activity waits for."""
    unanswered = {server for server, why in unreachable.items() if why != NOT_ASKED}
    return unanswered | {off.server for off in backing_off.values() if off.outage and off.server}


class Health:
    """What the parts have reported so far. Times are those of `clock`, in seconds."""

    def __init__(
        self, *, stalled_seconds: float, blocked_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._running_clock = RunningClock(clock)
        self.heartbeat = Heartbeat(self._running_clock)
        self.schema_verified = False
        self.backing_off: dict[Activity, BackingOff] = {}
        self.unreachable: dict[Server, str] = {"postgresql": NOT_ASKED, "kafka": NOT_ASKED}
        """Servers that did not answer the last check, and why."""
        self._stalled_seconds = stalled_seconds
        self._blocked_seconds = blocked_seconds
        self._sign_at = self._running_clock()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """During the block, time in which the whole process stood still does not count as being stuck."""
        self._running_clock.start()
        try:
            yield
        finally:
            self._running_clock.stop()

    @property
    def away(self) -> set[Server]:
        """Servers that do not answer at present."""
        return servers_away(self.unreachable, self.backing_off)

    def sign_of_life(self) -> None:
        """Report that work was done, or that there is none."""
        self._sign_at = self._running_clock()

    def failed(self, activity: Activity, why: str, *, outage: bool, server: Server | None = None) -> None:
        """Report a failed attempt that will be repeated. `outage`: a server is away."""
        self.sign_of_life()
        before = self.backing_off.get(activity)
        if before is None:
            self.backing_off[activity] = BackingOff(why, self.clock(), outage, server)
        else:
            before.why, before.outage, before.server = why, outage, server
            before.attempts, before.next_at = before.attempts + 1, None

    def trying_again(self, activity: Activity, seconds: float) -> None:
        """Report the seconds until the next attempt."""
        if off := self.backing_off.get(activity):
            off.next_at = self.clock() + seconds

    def recovered(self, activity: Activity) -> None:
        """Report that an attempt succeeded, or that none is needed any more."""
        self.backing_off.pop(activity, None)

    def reached(self, server: Server) -> None:
        """Report that the server answered."""
        self.unreachable.pop(server, None)

    def not_reached(self, server: Server, why: str) -> None:
        """Report that the server did not answer, so a part that waits for it is not stuck."""
        self.sign_of_life()
        self.unreachable[server] = why

    def not_live(self) -> list[str]:
        """Why this process should be restarted; empty while it should not."""
        reasons = []
        held = self.heartbeat.held()
        if held > self._blocked_seconds:
            reasons.append(f"the event loop was blocked for {held:.0f} of the last {WINDOW:.0f} s")
        silent = self._running_clock() - self._sign_at
        if silent > self._stalled_seconds:
            reasons.append(f"no progress for {silent:.0f} s, although there is work and nothing is being waited for")
        return reasons

    def not_ready(self, *, settled: bool) -> list[str]:
        """Why this process does not consume now. `settled`: its partitions are assigned and have their positions."""
        reasons = [] if self.schema_verified else ["the schema was not verified yet"]
        if not settled:
            reasons.append("no partitions are assigned yet, or their positions are not known yet")
        reasons += [f"{server} does not answer: {why}" for server, why in tuple(self.unreachable.items())]
        reasons += [
            f"{activity} waits out an outage: {off.why}"
            for activity, off in tuple(self.backing_off.items())
            if off.outage
        ]
        return reasons
