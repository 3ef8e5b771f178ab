"""What operators are told of one consumer: the answers of the HTTP endpoints, from what is in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from models import get_pool_stats

from .batch import Batch
from .health import Health
from .history import History
from .http import Answers, serving
from .kafka_source import KafkaSource
from .latest_dead_letters import LatestDeadLetters
from .metrics import Metrics
from .notices import Facts, notices
from .probe import Probe, Work
from .settings import Settings
from .statement_timings import statements
from .status import (
    BatchStatus,
    Counts,
    PoolStatus,
    Status,
    backing_off_statuses,
    batch_status,
    counts_by_reason,
    package_version,
    partition_statuses,
    pool_status,
    server_statuses,
    total,
)
from .writer import Written

_LOOK_SECONDS = 1.0
_PRESENT_SECONDS = 15.0
_MINUTE_SECONDS = 60.0


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
        self._history = History(health.clock)
        self._dead_letters = LatestDeadLetters(health.clock)

    def committed(self, batch: Batch, written: list[Written], age_seconds: float | None) -> None:
        """Take note of a batch that was committed, and of the age of its oldest event."""
        self._probe.committed(batch.positions)
        self._health.reached("postgresql")
        status = batch_status(batch, written)
        self._last_batch = (self._health.clock(), status)
        rejections = [rejection for part in written for rejection in part.rejections]
        reasons = Counter[str](rejection.reason for rejection in rejections)
        self._history.committed(batch.count, reasons, status.seconds, age_seconds)
        self._dead_letters.add(rejections)

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
                asyncio.create_task(self._watch_lag()),
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
        pool = pool_status(get_pool_stats(self._engine), self._settings.database.max_overflow)
        facts = self._facts(not_live, pool)
        return Status(
            version=package_version(),
            group=self._settings.kafka.group_id,
            uptime_seconds=round(now - self._started_at, 1),
            live=not not_live,
            ready=not not_ready,
            reasons=not_live + not_ready,
            lag=facts.lag,
            partitions=partition_statuses(probe.positions, probe.ends, source.positions.keys(), source.halted),
            backing_off=backing_off_statuses(health),
            servers=server_statuses(health),
            last_batch=self._dated_batch(now),
            dead_letters=counts_by_reason(self._metrics.dead_letters),
            latest_dead_letters=self._dead_letters.latest(),
            pool=pool,
            notices=notices(facts),
            records_per_second=round(facts.present.records_per_second, 3),
            history=self._history.series(),
            phase_seconds={phase: round(seconds, 6) for phase, seconds in facts.minute.phases.items()},
            statements=statements(self._metrics.query_seconds),
            counts=self._counts(),
        )

    def _facts(self, not_live: list[str], pool: PoolStatus) -> Facts:
        health, source = self._health, self._source
        return Facts(
            now=health.clock(),
            not_live=not_live,
            schema_verified=health.schema_verified,
            settled=source.settled,
            unreachable=health.unreachable,
            backing_off=health.backing_off,
            halted=source.halted,
            reading=len(source.positions),
            lag=self._lag(),
            present=self._history.recent(_PRESENT_SECONDS),
            minute=self._history.recent(_MINUTE_SECONDS),
            pool_in_use=pool.in_use,
            pool_limit=pool.limit,
        )

    def _counts(self) -> Counts:
        metrics = self._metrics
        return Counts(
            records=total(metrics.events),
            rebalances=total(metrics.rebalances),
            fenced=total(metrics.fenced),
            kafka_commit_failures=total(metrics.kafka_commit_failures),
            version_conflicts=total(metrics.version_conflicts),
            retries=counts_by_reason(metrics.retries),
        )

    def _lag(self) -> int | None:
        return self._probe.lag(self._source.positions) if self._source.settled else None

    async def _watch_lag(self) -> None:
        while True:
            self._history.looked(self._lag())
            await asyncio.sleep(_LOOK_SECONDS)

    def _dated_batch(self, now: float) -> BatchStatus | None:
        if self._last_batch is None:
            return None
        at, batch = self._last_batch
        return batch.model_copy(update={"seconds_ago": round(now - at, 1)})


def work_of(source: KafkaSource) -> Work:
    """What the source does at the moment."""
    return Work(source.epoch, source.settled, source.positions.keys())
