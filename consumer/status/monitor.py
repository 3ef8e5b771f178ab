"""How one consumer is: the answers of the HTTP endpoints, from what is in memory."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.background import Task, Work, running
from reelsync.consumer.counters import Family, added_up
from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import Probe, Reading
from reelsync.consumer.settings import Settings
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.models import get_pool_stats

from .document import Status, pool_status
from .http_server import serving
from .path_observer import PathObserver
from .snapshot import Member, Report
from .summary import status_of


class Monitor:
    """Joins what the parts of a consumer know of themselves."""

    def __init__(  # noqa: PLR0913 - the parts that it watches
        self,
        *,
        settings: Settings,
        source: KafkaSource,
        engine: AsyncEngine,
        metrics: Metrics,
        health: Health,
        probe: Probe,
        seen: PathObserver,
    ) -> None:
        self._settings = settings
        self._source = source
        self._engine = engine
        self._metrics = metrics
        self._health = health
        self._probe = probe
        self._started_at = health.clock()
        self._seen = seen

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Watch, and answer over HTTP; the port.

        Raises:
            ReelsyncError: the address of the settings cannot be used.
        """
        async with serving(self._settings.http, self) as port, self.watching():
            yield port

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask the servers now and then, and measure how long the event loop is blocked."""
        tasks: dict[Task, Work] = {"heartbeat": self._health.heartbeat.run, "probe": self._probe.run}
        try:
            async with running(tasks, self._task_failed):
                yield
        finally:
            await self._engine.dispose()

    async def refresh(self) -> None:
        """Nothing has to be asked for: all is in memory."""

    def not_live(self) -> list[str]:
        """Why this process should be restarted."""
        return self._health.not_live()

    def not_ready(self) -> list[str]:
        """Why the consumer does not consume now."""
        return self._health.not_ready(settled=self._source.settled)

    def status(self) -> Status:
        """All that /status.json says."""
        report = self.report()
        return status_of(
            self._settings.kafka.group_id,
            report.at,
            report.began,
            [Member(1, os.getpid(), report=report)],
            added_up(report.metrics),
            not_live=report.not_live,
            not_ready=report.not_ready,
        )

    def report(self) -> Report:
        """What is known at the moment."""
        health, source, probe = self._health, self._source, self._probe
        return Report(
            at=health.clock(),
            began=self._started_at,
            not_live=health.not_live(),
            not_ready=self.not_ready(),
            schema_verified=health.schema_verified,
            settled=source.settled,
            unreachable=health.unreachable,
            backing_off=health.backing_off,
            halted=source.halted,
            positions=probe.positions,
            ends=probe.ends,
            reading=frozenset(source.positions),
            lag=self.lag(),
            last_batch=self._seen.last_batch,
            steps=self._seen.history.steps,
            parked=self._seen.dead_letters.kept(),
            pool=pool_status(get_pool_stats(self._engine), self._settings.database.max_overflow),
            metrics=self.families(),
        )

    def families(self) -> list[Family]:
        """All metrics."""
        return self._metrics.families()

    def lag(self) -> int | None:
        """Records to go in the partitions that are being read, if that is known."""
        return self._probe.lag(self._source.positions) if self._source.settled else None

    def _task_failed(self, task: Task) -> None:
        self._seen.task_failed(task)
        # What the probe did not ask is no silence of those that work.
        if task == "probe":
            self._health.sign_of_life()


def reading_of(source: KafkaSource) -> Reading:
    """What the source reads at the moment."""
    return Reading(source.epoch, source.settled, source.positions.keys())
