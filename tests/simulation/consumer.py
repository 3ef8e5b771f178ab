"""The consumer as `consumer/app.py` makes it, on simulated servers: the loop, delivery, writer, offsets and source are
the real ones.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, cast
from unittest import mock

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.loop import BatchLoop
from reelsync.consumer.observer import Activity, Failure, Written
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.settings import BatchSettings, KafkaSettings
from reelsync.consumer.sink.breaker import DeadLetterLimit
from reelsync.consumer.sink.delivery import Deliverer
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.source import kafka_source
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.transform.batch import Batch

from .clock import modules_of_ours, virtual_time
from .connection import SimulatedEngine
from .kafka import SimulatedKafka
from .member import SimulatedLog, join_as_process
from .postgres import SimulatedPostgres
from .traffic import decode
from .world import PROCESS, World

SETTINGS = KafkaSettings(session_timeout_ms=10_000, anchor_timeout_ms=1_000)
GROUP = SETTINGS.group_id


class _Tracing:
    """An observer that writes into the trace what it is told."""

    def __init__(self, world: World) -> None:
        self._world = world

    def attempt_failed(self, activity: Activity, failure: Failure) -> None:
        self._world.note(f"{activity} failed:", failure.reason, failure.description)

    def retry_scheduled(self, _activity: Activity, _seconds: float) -> None: ...
    def recovered(self, _activity: Activity) -> None: ...
    def rebalanced(self) -> None: ...
    def kafka_commit_failed(self) -> None: ...

    def batch_fenced(self) -> None:
        self._world.note("batch fenced")

    def writing(self, _batch: Batch) -> AbstractContextManager[object]:
        return nullcontext()

    def batch_committed(self, batch: Batch, _written: list[Written]) -> None:
        self._world.note("batch committed", batch.count)


def consumer_of(world: World, kafka: SimulatedKafka, postgres: SimulatedPostgres, limits: BatchSettings) -> BatchLoop:
    """A consumer of the process of the present task."""
    engine = cast("AsyncEngine", SimulatedEngine(postgres))
    observer = _Tracing(world)
    ledger = Ledger(engine, GROUP)
    source = KafkaSource(SETTINGS, SimulatedLog(SETTINGS, kafka), ledger, observer)
    deliverer = Deliverer(
        writer=BatchWriter(engine, GROUP),
        ledger=ledger,
        limit=DeadLetterLimit(1_000_000, 1_000_000, 1.0),
        observer=observer,
        is_current=lambda epoch: epoch == source.epoch,
    )
    return BatchLoop(source, deliverer, observer, decode, limits)


@contextmanager
def simulated(*, tracing: bool = False) -> Iterator[None]:
    """Inside, consumers are members of simulated brokers, in virtual time. If there is a trace, it has their log."""
    with ExitStack() as stack:
        stack.enter_context(virtual_time())
        stack.enter_context(mock.patch.object(kafka_source, "new_member", join_as_process))
        log = _Log() if tracing else _NoLog()
        for module in modules_of_ours():
            if "_log" in vars(module):
                stack.enter_context(mock.patch.object(module, "_log", log))
        yield


class _NoLog:
    """A logger in the place of structlog's, which costs almost nothing."""

    def debug(self, event: str, **values: object) -> None: ...

    info = warning = error = exception = debug


class _Log:
    """A logger that writes into the trace."""

    def debug(self, event: str, **values: object) -> None:
        """Note it, if a process says so."""
        if process := PROCESS.get(None):
            process.brokers.world.note(f"event={event}", *(f"{name}={value}" for name, value in values.items()))

    info = warning = error = exception = debug


async def ended(tasks: Collection[asyncio.Task[Any]], seconds: float) -> bool:
    """Wait for tasks to end, for a limited time. Whether all did."""
    running = {task for task in tasks if not task.done()}
    if running:
        await asyncio.wait(running, timeout=seconds)
    return all(task.done() for task in tasks)
