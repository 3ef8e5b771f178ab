"""What operators are told of one consumer: the answers of the HTTP endpoints, from what is in memory."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import Probe, Work
from reelsync.consumer.settings import Settings
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.models import get_pool_stats

from .document import Status, pool_status
from .http_server import Answers, serving
from .path_observer import PathObserver
from .snapshot import Member, Report
from .summary import status_of

_LOOK_SECONDS = 1.0


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
        answers = Answers(
            self._health.not_live, self.not_ready, lambda: self.status().model_dump_json(), self._metrics.registry
        )
        async with serving(self._settings.http, answers) as port, self.watching():
            yield port

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask the servers, and look at the lag, now and then."""
        watching = [
            asyncio.create_task(self._health.heartbeat.run()),
            asyncio.create_task(self._probe.run()),
            asyncio.create_task(self._watch_lag()),
        ]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await self._engine.dispose()

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
            lag=self._lag(),
            last_batch=self._seen.last_batch,
            steps=self._seen.history.steps,
            parked=self._seen.dead_letters.kept(),
            pool=pool_status(get_pool_stats(self._engine), self._settings.database.max_overflow),
            metrics=list(self._metrics.registry.collect()),
        )

    def _lag(self) -> int | None:
        return self._probe.lag(self._source.positions) if self._source.settled else None

    async def _watch_lag(self) -> None:
        while True:
            self._seen.history.looked(self._lag())
            await asyncio.sleep(_LOOK_SECONDS)


def work_of(source: KafkaSource) -> Work:
    """What the source does at the moment."""
    return Work(source.epoch, source.settled, source.positions.keys())
