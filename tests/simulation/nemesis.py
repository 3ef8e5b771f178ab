"""What happens to the world of a run: records are published, processes come and go, servers fail, logs change."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from reelsync.consumer.kafka.record_batches import Unreadable

from .kafka import Log
from .world import Process

if TYPE_CHECKING:
    from .scenario import Scenario

_SECONDS = 40.0
"""How long things happen, at most."""


class Nemesis:
    """Does what the seed decides, at the times that it decides."""

    def __init__(self, scenario: "Scenario") -> None:
        self._scenario = scenario
        self._world = scenario.world
        self._rng = scenario.world.rng
        self._kafka = scenario.kafka
        self._postgres = scenario.postgres

    async def run(self) -> None:
        """Publish, and do the rest, until nothing more is to come."""
        rng, seconds = self._rng, self._rng.choice((3.0, 10.0, _SECONDS))
        moments: list[tuple[float, Callable[[], None]]] = [
            (rng.random() * seconds * 0.6 * (rng.random() < 0.7), self._publish) for _ in range(rng.randrange(2, 6))
        ]
        if not self._world.is_prompt:
            moments += [
                (rng.random() * seconds, rng.choice((self._stop, self._visit))) for _ in range(rng.randrange(3))
            ]
        if self._scenario.faulty:
            possible = self._scenario.possible
            chosen = [fault for fault in possible if rng.random() < 0.4] or [*possible]
            moments += [
                (rng.random() * seconds, partial(self._fault, rng.choice(chosen))) for _ in range(rng.randrange(9))
            ]
        for at, action in sorted(moments, key=lambda moment: moment[0]):
            await asyncio.sleep(at - self._world.clock.now)
            action()
            if rng.random() < 0.1:
                await self._scenario.operator.look()
        for log in self._kafka.partitions:
            self._end_transaction(log)

    def _fault(self, name: str) -> None:
        FAULTS[name](self)

    def _publish(self) -> None:
        self._scenario.publishers.publish(self._rng.randrange(1, 16))

    def _process(self) -> Process | None:
        processes = [*self._scenario.processes.values()]
        return self._rng.choice(processes) if processes else None

    def _stop(self) -> None:
        if process := self._process():
            self._world.note("told to stop:", process.name)
            self._scenario.stops[process.name].set()

    def _visit(self) -> None:
        """One more process, which goes again."""
        self._scenario.start(self._scenario.one_process(self._rng.random() * 20.0))

    def _kill(self) -> None:
        if process := self._process():
            self._world.fault("killed", process.name)
            self._world.kill(process)
            self._kafka.group.lost(process)

    def _freeze(self) -> None:
        if process := self._process():
            seconds = self._rng.choice((0.5, 5.0, 40.0)) * self._rng.random()
            self._world.fault("stopped and woken", process.name)
            process.thaws_at = self._world.clock.now + seconds
            self._kafka.group.lost(process)

    def _crash(self) -> None:
        self._world.fault("database down")
        self._postgres.crash(self._rng.random() * self._rng.choice((0.0, 20.0)))

    def _go_back(self) -> None:
        undo = self._rng.randrange(1, 6)
        self._world.fault("database went back", undo)
        self._postgres.crash(self._rng.random() * self._rng.choice((0.0, 5.0)), undo)

    def _fail_brokers(self) -> None:
        self._world.fault("brokers down")
        self._kafka.failing_until = self._world.clock.now + self._rng.random() * 10.0

    def _log(self) -> Log:
        return self._rng.choice(self._kafka.breakable)

    def _create_again(self) -> None:
        topic = self._log().partition.topic
        if self._kafka.has_ids:
            self._world.fault("topic created again", topic)
            self._kafka.create(topic, len(self._kafka.topics[topic]))

    def _grow(self) -> None:
        topic = self._log().partition.topic
        self._world.fault("partition added", topic)
        self._kafka.grow(topic)
        self._world.clock.call_later(self._rng.random() * 30.0, self._kafka.group.form_again)

    def _retain(self) -> None:
        log = self._log()
        begin = self._rng.randint(log.begin, log.readable_end)
        self._world.fault("retention", log.partition, begin)
        log.begin = begin

    def _corrupt(self) -> None:
        """In each log one of a few records that were not read yet, or the next one."""
        for log in self._kafka.breakable:
            if log.corrupt is None and log.open_at is None:
                unread = max(log.begin, min(log.end, self._kafka.written.get(log.partition, 0)))
                first = self._rng.randint(unread, log.end)
                after = max(first + 1, min(log.end, first + self._rng.randrange(1, 3)))
                log.corrupt = Unreadable(first, after, "a bit is wrong")
                self._world.fault("corrupt batch", log.partition, first)

    def _lose_leader(self) -> None:
        self._kafka.lose_leader(self._log())

    def _open_transaction(self) -> None:
        log = self._log()
        if log.open_at is None:
            self._world.fault("open transaction", log.partition)
            log.open_at = log.end
            self._world.clock.call_later(self._rng.random() * 20.0, self._end_transaction, log)

    def _end_transaction(self, log: Log) -> None:
        if log.open_at is not None:
            if self._rng.random() < 0.5:
                log.abort()
            log.open_at = None
            self._kafka.changed()


FAULTS: Mapping[str, Callable[[Nemesis], None]] = {
    "killed": Nemesis._kill,
    "stopped and woken": Nemesis._freeze,
    "database down": Nemesis._crash,
    "database went back": Nemesis._go_back,
    "brokers down": Nemesis._fail_brokers,
    "topic created again": Nemesis._create_again,
    "partition added": Nemesis._grow,
    "retention": Nemesis._retain,
    "corrupt batch": Nemesis._corrupt,
    "no leader": Nemesis._lose_leader,
    "open transaction": Nemesis._open_transaction,
}
OF_ONE_PARTITION = ("retention", "corrupt batch", "no leader", "open transaction")
"""Faults that strike a partition alone."""
OUTAGES = ("database down", "database went back", "brokers down")
"""Faults of a whole server, which end by themselves."""
