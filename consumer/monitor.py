"""What operators are told of one consumer: the answers of the HTTP endpoints, from what is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from sqlalchemy.ext.asyncio import AsyncEngine

from .batch import Batch
from .health import Health
from .http import Answers, serving
from .kafka_source import KafkaSource
from .metrics import Metrics
from .probe import Probe, Work
from .settings import Settings
from .status import (
    BatchStatus,
    Status,
    backing_off_statuses,
    batch_status,
    dead_letter_counts,
    package_version,
    partition_statuses,
    pool_status,
    server_statuses,
)
from .writer import Written

if TYPE_CHECKING:
    from sqlalchemy import QueuePool


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
    ) -> None:
        self._settings = settings
        self._source = source
        self._engine = engine
        self._metrics = metrics
        self._health = health
        self._probe = probe
        self._started_at = health.clock()
        self._last_batch: tuple[float, BatchStatus] | None = None

    def committed(self, batch: Batch, written: list[Written]) -> None:
        """Take note of a batch that was committed."""
        self._probe.committed(batch.positions)
        self._last_batch = (self._health.clock(), batch_status(batch, written))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Watch, and answer over HTTP; the port.

        Raises:
            ReelsyncError: the address of the settings cannot be used.
        """
        answers = Answers(
            self._health.not_live, self.not_ready, lambda: self.status().model_dump_json(), self._metrics.registry
        )
        async with serving(self._settings.http, answers) as port:
            watching = [
                asyncio.create_task(self._health.heartbeat.run()),
                asyncio.create_task(self._probe.run()),
            ]
            try:
                yield port
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
        health, source, probe = self._health, self._source, self._probe
        now = health.clock()
        not_live, not_ready = health.not_live(), self.not_ready()
        database = self._settings.database
        return Status(
            version=package_version(),
            group=self._settings.kafka.group_id,
            uptime_seconds=round(now - self._started_at, 1),
            live=not not_live,
            ready=not not_ready,
            reasons=not_live + not_ready,
            lag=probe.lag(source.positions) if source.settled else None,
            partitions=partition_statuses(probe.positions, probe.ends, source.positions.keys(), source.halted),
            backing_off=backing_off_statuses(health),
            servers=server_statuses(health),
            last_batch=self._dated_batch(now),
            dead_letters=dead_letter_counts(self._metrics.dead_letters),
            pool=pool_status(cast("QueuePool", self._engine.pool), database.pool_size + database.max_overflow),
        )

    def _dated_batch(self, now: float) -> BatchStatus | None:
        if self._last_batch is None:
            return None
        at, batch = self._last_batch
        return batch.model_copy(update={"seconds_ago": round(now - at, 1)})


def work_of(source: KafkaSource) -> Work:
    """What the source does at the moment."""
    return Work(source.epoch, source.settled, source.positions.keys())
