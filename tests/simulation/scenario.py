"""One run: a seed decides what is published, which faults there are, and when each of them happens."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from reelsync.consumer.settings import BatchSettings

from .checks import Checks
from .clock import SpinningError, StuckError
from .consumer import consumer_of, ended
from .kafka import SimulatedKafka
from .nemesis import FAULTS, OF_ONE_PARTITION, OUTAGES, Nemesis
from .operators import Operator
from .postgres import SimulatedPostgres
from .promptness import NEIGHBOURS_SECONDS, OUTAGE_SECONDS, Promptness
from .traffic import Publishers
from .world import PROCESS, Process, ViolationError, World

RATES = {
    "killed": (0.002, 0.01),
    "connection lost": (0.01, 0.05),
    "connection refused": (0.02, 0.1),
    "statement refused": (0.01, 0.05),
    "reply to COMMIT lost": (0.05, 0.3),
    "late COMMIT": (0.02, 0.2),
    "transaction lingers": (0.2, 1.0),
    "brokers fail": (0.005, 0.03),
    "poll loses records": (0.02, 0.1),
    "part of a record": (0.01, 0.05),
    "refusal": (0.05, 0.2),
    "gap": (0.1, 0.4),
}
"""How often each fault happens where it can, in the seeds that have it: a choice of these two."""
_WITHOUT_FAULTS = 0.15
_OF_ONE_PARTITION = 0.08
_OF_OUTAGES = 0.12
_WITHOUT_LEADER_FROM_THE_START = 0.5
_SHARE_OF_FAULTS = 0.4
_WITH_TOPIC_IDS = 0.85
_PATIENCE_SECONDS = 300.0
"""Of virtual time: so long after the last fault everything that can be read must have been applied."""
_STOP_SECONDS = 120.0
_ENDLESS = 30
"""Refusals of one kind, without a commit in between, that are no coincidence."""


@dataclass
class Run:
    """What became of a seed."""

    seed: int
    violation: ViolationError | None
    happened: Counter[str]
    seconds: float
    transactions: int
    trace: list[str]


class Scenario:
    """The world of a seed, with its servers, and the consumers in it."""

    def __init__(self, world: World) -> None:
        rng = world.rng
        self.world = world
        self.faulty = rng.random() >= _WITHOUT_FAULTS
        if self.faulty:
            chosen = [fault for fault in RATES if rng.random() < _SHARE_OF_FAULTS]
            world.rates = {fault: rng.choice(RATES[fault]) for fault in chosen}
            world.slowest = rng.choice((0.5, 5.0, 25.0))
        else:
            world.rates = {"gap": 0.2}
        topics = {"video-events": rng.randrange(1, 4)} | ({"user-events": 1} if rng.random() < 0.4 else {})
        self.kafka = SimulatedKafka(world, topics, has_ids=rng.random() < _WITH_TOPIC_IDS)
        self.checks = Checks(world, self.kafka)
        self.postgres = SimulatedPostgres(world, self.checks.committing)
        self.publishers = Publishers(world, self.kafka)
        self.limits = BatchSettings(
            max_records=rng.choice((3, 6, 20)), max_rows=rng.choice((4, 20)), linger_ms=rng.choice((0, 200, 1_000))
        )
        self.operator = Operator(self)
        self.possible = tuple(FAULTS)
        """The faults that may happen at any time."""
        kind = rng.random() if self.faulty else 1.0
        if kind < _OF_ONE_PARTITION:
            self._strike_one_partition()
        elif kind < _OF_ONE_PARTITION + _OF_OUTAGES:
            self._fail_promptly(OUTAGES, OUTAGE_SECONDS)
        self.members = rng.choice((1, 1, 2, 2, 3))
        self.processes: dict[str, Process] = {}
        self.stops: dict[str, asyncio.Event] = {}
        self.ending = False
        self._started = 0
        self._supervisors: list[asyncio.Task[Any]] = []

    def _fail_promptly(self, faults: tuple[str, ...], patience: float) -> None:
        """Let nothing happen but these faults, and take nothing long: soon after them all must go on."""
        self.possible = faults
        self.world.is_prompt = True
        self.world.rates, self.world.slowest, self.world.slow = {"gap": 0.2}, 0.01, 0.01
        patience += self.limits.linger_ms / 1000
        Promptness(self.world, self.kafka, self.postgres, self.operator.position, patience).watch()

    def _strike_one_partition(self) -> None:
        """Let one partition alone have faults: the others must not be held up by it."""
        self.kafka.struck = self.world.rng.choice(self.kafka.partitions)
        if self.world.rng.random() < _WITHOUT_LEADER_FROM_THE_START:
            # Consumers come when this cannot be known of the others yet.
            self.kafka.lose_leader(self.kafka.struck)
        self._fail_promptly(OF_ONE_PARTITION, NEIGHBOURS_SECONDS)

    async def run(self) -> None:
        """Let it happen, end all faults, and check what is left."""
        for _ in range(self.members):
            self.start(self.keep_running())
        chaos = asyncio.create_task(Nemesis(self).run())
        await self._until(chaos)
        self.world.calm = True
        self.postgres.down_until = self.kafka.failing_until = 0.0
        settled = asyncio.create_task(self._settle())
        await self._until(settled)
        self.ending = True
        for stop in self.stops.values():
            stop.set()
        if not await ended(self._supervisors, _STOP_SECONDS):
            raise self.world.violated(f"consumers did not stop: {sorted(self.stops)}")
        await asyncio.gather(*self._supervisors)
        self.checks.finished(self.postgres)
        if not self.faulty and self.postgres.wasted:
            raise self.world.violated(f"nothing failed, and {self.postgres.wasted} transactions were for nothing")

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start what keeps a consumer running."""
        self._supervisors.append(asyncio.create_task(work))

    async def keep_running(self) -> None:
        """A process after another, as long as the run goes on."""
        while not self.ending:
            await self.one_process()
            await asyncio.sleep(self.world.rng.random() * 5)

    async def one_process(self, seconds: float | None = None) -> None:
        """A process, from its start to its end; it is told to stop after so long."""
        self._started += 1
        process = Process(f"p{self._started}", self.kafka)
        stop = self.stops[process.name] = asyncio.Event()
        self.processes[process.name] = process
        if seconds is not None:
            self.world.clock.call_later(seconds, stop.set)
        try:
            await asyncio.create_task(self._consume(process, stop))
        except asyncio.CancelledError:
            if process.alive:
                raise
        except Exception as error:  # noqa: BLE001 - whatever ends a consumer is a violation
            if process.alive:
                self.world.violated(f"{process.name} ended with {error!r}")
        self.world.note("ended:", process.name)
        process.alive = False
        self.kafka.group.lost(process)  # if it could not leave
        del self.stops[process.name], self.processes[process.name]

    async def _consume(self, process: Process, stop: asyncio.Event) -> None:
        PROCESS.set(process)
        this = asyncio.current_task()
        assert this is not None
        process.own(this)
        loop = consumer_of(self.world, self.kafka, self.postgres, self.limits)
        self.operator.watch(process, loop.source)
        await loop.run(stop)

    async def _until(self, task: asyncio.Task[None]) -> None:
        """Wait for a task, or for a violation."""
        while not task.done():
            await asyncio.wait({task}, timeout=5.0)
            if self.world.violation:
                raise self.world.violation
            if self.postgres.refusals["23503"] > _ENDLESS:
                raise self.world.violated("rows refer to a row that is not there, again and again")
        task.result()

    async def _settle(self) -> None:
        ends_at = self.world.clock.now + _PATIENCE_SECONDS
        while self.operator.unfinished():
            if self.world.clock.now > ends_at:
                raise self.world.violated(f"not applied in time: {self.operator.unfinished()}")
            await self.operator.look()
            await asyncio.sleep(5.0)


def run_seed(seed: int, *, tracing: bool = False) -> Run:
    """Run a seed, inside of `simulated`."""
    world = World(seed, tracing=tracing)
    state = random.getstate()
    random.seed(seed)
    scenario = Scenario(world)
    asyncio.set_event_loop(world.clock)
    try:
        world.clock.run_until_complete(scenario.run())
    except ViolationError as error:
        world.violation = world.violation or error
    except StuckError:
        world.violated("every task waits for ever")
    except SpinningError:
        world.violated("tasks work without end, and none of them waits")
    transactions, seconds = len(scenario.postgres.history), world.clock.now
    run = Run(seed, world.violation, world.happened, seconds, transactions, world.trace or [])
    abandon(world)
    random.setstate(state)
    return run


def abandon(world: World) -> None:
    """End what is left of a run that was broken off."""
    world.calm = True
    for _ in range(50):
        left = asyncio.all_tasks(world.clock)
        if not left:
            break
        for task in left:
            task.cancel()
        world.clock.run_until_complete(asyncio.wait(left, timeout=1.0))
    asyncio.set_event_loop(None)
    world.clock.close()
