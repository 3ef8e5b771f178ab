"""The fault of a partition is its own: the others go on within two seconds."""

from collections.abc import Callable
from typing import Any

from .kafka import Log, SimulatedKafka
from .world import World

_GO_ON_SECONDS = 2.0
_LOOK_SECONDS = 0.25


class Neighbours:
    """Looks at all partitions but one, in a run whose only faults are of that one.

    Nothing else is slow there. So whatever can be read of the others, and waits for longer than a batch may wait for
    more records, waits because of that fault.
    """

    def __init__(
        self, world: World, kafka: SimulatedKafka, row_of: Callable[[Log], dict[str, Any] | None], linger_ms: int
    ) -> None:
        self._world = world
        self._kafka = kafka
        self._row_of = row_of
        self._patience = _GO_ON_SECONDS + linger_ms / 1000
        self._seen: dict[Log, tuple[int, int, float]] = {}
        """Of each partition its position, the generation, and since when it waits at it with records to be read."""

    def watch(self) -> None:
        """Look from now on, as long as things happen."""
        if self._world.calm:
            return
        for log in self._kafka.partitions:
            if log is not self._kafka.struck:
                self._look(log)
        self._world.clock.call_later(_LOOK_SECONDS, self.watch)

    def _look(self, log: Log) -> None:
        now, generation = self._world.clock.now, self._kafka.group.generation
        row = self._row_of(log)
        at = row["next_offset"] if row else 0
        position, formed, since = self._seen.get(log, (-1, -1, now))
        if (at, generation) != (position, formed) or at >= log.readable_end or self._kafka.group.is_being_formed:
            self._seen[log] = at, generation, now
        elif now - since > self._patience:
            waits = f"{log.partition} has records to {log.readable_end}, and stands at {at} since {since:.4f} s"
            self._world.violated(f"{waits}, because of {self._kafka.struck and self._kafka.struck.partition}")
