"""Who can go on does so soon: the neighbours of a partition with a fault, and everybody after an outage."""

from collections.abc import Callable
from typing import Any

from .kafka import Log, SimulatedKafka
from .postgres import SimulatedPostgres
from .world import World

NEIGHBOURS_SECONDS = 2.0
OUTAGE_SECONDS = 5.0
_LOOK_SECONDS = 0.25


class Promptness:
    """Looks at all partitions but one that has faults, in a run without faults of any other kind but outages.

    Nothing else is slow there. So whatever can be read, and waits for longer than a batch may wait for more records,
    waits because of that fault, or because nobody noticed that the servers are back.
    """

    def __init__(
        self,
        world: World,
        kafka: SimulatedKafka,
        postgres: SimulatedPostgres,
        row_of: Callable[[Log], dict[str, Any] | None],
        patience: float,
    ) -> None:
        self._world = world
        self._kafka = kafka
        self._postgres = postgres
        self._row_of = row_of
        self._patience = patience
        self._seen: dict[Log, tuple[int, int, float]] = {}
        """Of each partition its position, the generation, and since when it waits at it with records to be read."""

    def watch(self) -> None:
        """Look from now on, until the end of the run."""
        for log in self._kafka.partitions:
            if log is not self._kafka.struck:
                self._look(log)
        self._world.clock.call_later(_LOOK_SECONDS, self.watch)

    @property
    def _is_excused(self) -> bool:
        return self._postgres.is_down or self._kafka.is_down or self._kafka.group.is_being_formed

    def _look(self, log: Log) -> None:
        now, generation = self._world.clock.now, self._kafka.group.generation
        row = self._row_of(log)
        at = row["next_offset"] if row else 0
        position, formed, since = self._seen.get(log, (-1, -1, now))
        if (at, generation) != (position, formed) or at >= log.readable_end or self._is_excused:
            self._seen[log] = at, generation, now
        elif now - since > self._patience:
            waits = f"{log.partition} has records to {log.readable_end}, and stands at {at} since {since:.4f} s"
            struck = self._kafka.struck
            self._world.violated(f"{waits}, {f'because of {struck.partition}' if struck else 'after an outage'}")
