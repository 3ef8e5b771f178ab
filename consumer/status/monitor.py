"""The answers of the HTTP endpoints about one consumer, from memory."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.background import Task, Work, running
from reelsync.consumer.counters import Family, added_up
from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import Probe, Reading
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.models import get_pool_stats

from .document import Status, pool_status
from .path_observer import PathObserver
from .snapshot import Member, Report, state_of
from .summary import status_of

_WATCH_SECONDS = 1.0


@dataclass
class Monitor:
    """Collects the state of the parts of a consumer."""

    settings: Settings
    source: KafkaSource
    engine: AsyncEngine
    metrics: Metrics
    health: Health
    probe: Probe
    seen: PathObserver

    def __post_init__(self) -> None:
        self._began = self._settled_at = self.health.clock()
        self.metrics.watch_readiness(lambda: (not self.not_ready(), self.health.unreachable.keys()))
        self.metrics.watch_partitions(self._states)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Watch the servers, and answer over HTTP; yields the port.

        Raises:
            ReelsyncError: the address of the settings cannot be used.
        """
        from .http_server import serving  # noqa: PLC0415 - workers, which do not serve, need 9 MB less without it

        async with serving(self.settings.http, self) as port, self.watching():
            yield port

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask the servers now and then, keep the history, and measure how long the event loop is blocked."""
        tasks: dict[Task, Work] = {
            "heartbeat": self.health.heartbeat.run,
            "history": self._watch,
            "probe": self.probe.run,
        }
        try:
            with self.health.watching():
                async with running(tasks, self._task_failed):
                    yield
        finally:
            await self.engine.dispose()

    async def refresh(self) -> None:
        """Nothing to do, because everything is in memory."""

    def not_live(self) -> list[str]:
        """Why this process should be restarted."""
        return self.health.not_live()

    def not_ready(self) -> list[str]:
        """Why the consumer does not consume now."""
        return self.health.not_ready(settled=self.source.settled) + self.source.halts.divisions

    def status(self) -> Status:
        """The document of /status.json."""
        report = self.report()
        return status_of(
            self.settings.kafka.group_id,
            report.at,
            report.began,
            [Member(1, os.getpid(), report=report)],
            added_up(report.metrics),
            not_live=report.not_live,
            not_ready=report.not_ready,
        )

    def report(self) -> Report:
        """The present state."""
        health, source, probe = self.health, self.source, self.probe
        return Report(
            at=health.clock(),
            began=self._began,
            not_live=health.not_live(),
            not_ready=self.not_ready(),
            schema_verified=health.schema_verified,
            settled=source.settled,
            unsettled_since=None if source.settled else self._settled_at,
            unreachable=health.unreachable,
            backing_off=health.backing_off,
            halted=source.halted,
            positions=probe.positions,
            ends=probe.ends,
            reading=frozenset(source.positions),
            settling=source.settling,
            open_transactions=probe.open_transactions,
            lag=self.lag(),
            last_batch=self.seen.last_batch,
            steps=self.seen.history.steps,
            parked=self.seen.parked,
            pool=pool_status(get_pool_stats(self.engine), self.settings.database.max_overflow),
            metrics=self.families(),
        )

    def families(self) -> list[Family]:
        """All metrics."""
        return self.metrics.families()

    def lag(self) -> int | None:
        """The lag of the partitions that are being read, if it is known. While Kafka is away, it is not."""
        known = self.source.settled and "kafka" not in self.health.away
        return self.probe.lag(self.source.positions) if known else None

    async def _watch(self) -> None:
        """Note what nobody reports, because it lasts."""
        while True:
            away = self.health.away
            if self.source.settled or away or not self.health.schema_verified:
                self._settled_at = self.health.clock()
            self.seen.history.watched(self.lag(), away)
            await asyncio.sleep(_WATCH_SECONDS)

    def _states(self) -> dict[Partition, str]:
        """What this process does with each of its partitions."""
        halted, settling = self.source.halted, self.source.settling
        own = {*self.source.positions, *halted, *settling}
        return {p: state_of(p, halted, settling, self.probe.open_transactions) for p in own}

    def _task_failed(self, task: Task) -> None:
        self.seen.task_failed(task)
        # Without the probe it is not known whether there is work, so a lack of progress proves nothing.
        if task == "probe":
            self.health.sign_of_life()


def reading_of(source: KafkaSource) -> Reading:
    """What the source reads at the moment."""
    return Reading(source.epoch, source.settled, source.positions.keys())
