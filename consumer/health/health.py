"""Whether the consumer lives and is ready, by what its working parts report.

A restart mends a consumer that is stuck, and nothing else: so only being stuck is not alive. Whoever waits out an
outage shows a sign of life with every attempt. The clock is monotonic, and nothing that is stored depends on it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from reelsync.consumer.observer import Activity, Server

from .event_loop_lag import WINDOW, Heartbeat

NOT_ASKED = "not asked yet"


@dataclass
class BackingOff:
    """An activity that failed, and is tried again and again: why the last time, since when, how often.

    `server`: whose failure it was, if that is known. `next_at`: when the next attempt begins; None while one is made.
    """

    why: str
    since: float
    outage: bool
    server: Server | None = None
    attempts: int = 1
    next_at: float | None = None


class Health:
    """What the parts have reported so far. Times are those of `clock`, in seconds."""

    def __init__(
        self, *, stalled_seconds: float, blocked_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.heartbeat = Heartbeat(clock)
        self.schema_verified = False
        self.backing_off: dict[Activity, BackingOff] = {}
        self.unreachable: dict[Server, str] = {"postgresql": NOT_ASKED, "kafka": NOT_ASKED}
        """Servers that did not answer when last asked, and why."""
        self._stalled_seconds = stalled_seconds
        self._blocked_seconds = blocked_seconds
        self._sign_at = clock()

    def sign_of_life(self) -> None:
        """Something was done, or there is nothing to do."""
        self._sign_at = self.clock()

    def failed(self, activity: Activity, why: str, *, outage: bool, server: Server | None = None) -> None:
        """An attempt failed, and another will be made. `outage`: a server is away."""
        self.sign_of_life()
        before = self.backing_off.get(activity)
        if before is None:
            self.backing_off[activity] = BackingOff(why, self.clock(), outage, server)
        else:
            before.why, before.outage, before.server = why, outage, server
            before.attempts, before.next_at = before.attempts + 1, None

    def trying_again(self, activity: Activity, seconds: float) -> None:
        """The next attempt begins in so many seconds."""
        if off := self.backing_off.get(activity):
            off.next_at = self.clock() + seconds

    def recovered(self, activity: Activity) -> None:
        """An attempt went well, or there is no need of another."""
        self.backing_off.pop(activity, None)

    def reached(self, server: Server) -> None:
        """The server answered."""
        self.unreachable.pop(server, None)

    def not_reached(self, server: Server, why: str) -> None:
        """The server did not answer: what waits for it is not stuck."""
        self.sign_of_life()
        self.unreachable[server] = why

    def not_live(self) -> list[str]:
        """Why this process should be restarted; empty while it should not."""
        reasons = []
        held = self.heartbeat.held()
        if held > self._blocked_seconds:
            reasons.append(f"the event loop was blocked for {held:.0f} of the last {WINDOW:.0f} s")
        silent = self.clock() - self._sign_at
        if silent > self._stalled_seconds:
            reasons.append(f"no progress for {silent:.0f} s, although there is work and nothing is being waited for")
        return reasons

    def not_ready(self, *, settled: bool) -> list[str]:
        """Why this process does not consume now. `settled`: its partitions are assigned and have their positions."""
        reasons = [] if self.schema_verified else ["the schema was not verified yet"]
        if not settled:
            reasons.append("no partitions are assigned yet, or their positions are not known yet")
        reasons += [f"{server} does not answer: {why}" for server, why in self.unreachable.items()]
        reasons += [
            f"{activity} waits out an outage: {off.why}" for activity, off in self.backing_off.items() if off.outage
        ]
        return reasons
