"""The composition root: the only place where the parts are made and joined."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import structlog

from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts, redrive_until
from reelsync.consumer.dead_letters.relay import KafkaRelay
from reelsync.consumer.dead_letters.retention import blank_expired, expire_until
from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import Probe
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.observer import Written, safe_observer
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.operations.standing import hidden_positions
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.sink.breaker import DeadLetterLimit
from reelsync.consumer.sink.delivery import Deliverer
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.source.kafka_source import KafkaSource
from reelsync.consumer.status.monitor import Monitor, reading_of
from reelsync.consumer.status.path_observer import PathObserver
from reelsync.consumer.status.summary import package_version
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.telemetry.opentelemetry import Telemetry, start_telemetry
from reelsync.consumer.timing.query_timing import attach_query_timing
from reelsync.consumer.timing.slow_queries import SlowQueries
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.decode import decoder
from reelsync.consumer.transform.fold import fold_type
from reelsync.models.engine import get_pool_stats

from .background import Task, Work, running
from .backoff import Backoff
from .loop import BatchLoop
from .preflight import check_brokers, check_database, check_relay_topic, check_schema, check_topics, check_writes
from .settings import LogSettings, Settings

_LAG_SECONDS = 1.0
_SUMMARY_SECONDS = 10.0

_log = structlog.get_logger("reelsync")


@dataclass
class Consumer:
    """One consumer, made from settings. `run` it once."""

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)
    observe: Callable[[Batch, list[Written]], None] | None = None
    """Called after each commit, for tests and the demo."""

    def __post_init__(self) -> None:
        settings = self.settings
        group = settings.kafka.group_id
        self.engine = engine_of(settings.database)
        self.telemetry = self._start_telemetry()
        self._measure_engine()
        self.ledger = Ledger(self.engine, group)
        self.writer = BatchWriter(self.engine, group, fold_type(video_states=settings.batch.video_states))
        self.kafka_log = KafkaLog(settings.kafka)
        self.health = health_of(settings)
        probe = self._new_probe()
        self.seen = PathObserver(self.metrics, self.health, probe, self.telemetry, self._committed)
        observer = safe_observer(self.seen, self.metrics.observer_errors.inc)
        self.source = KafkaSource(settings.kafka, self.kafka_log, self.ledger, observer)
        self.decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
        dead_letters = settings.dead_letters
        self.deliverer = Deliverer(
            writer=self.writer,
            ledger=self.ledger,
            limit=DeadLetterLimit(dead_letters.window_records, dead_letters.max_count, dead_letters.max_share),
            observer=observer,
            is_current=lambda epoch: epoch == self.source.epoch,
        )
        self.loop = BatchLoop(self.source, self.deliverer, observer, self.decode, settings.batch)
        self.monitor = Monitor(
            settings=settings,
            source=self.source,
            engine=self.engine,
            metrics=self.metrics,
            health=self.health,
            probe=probe,
            seen=self.seen,
        )
        self.relay = self._relay_of(settings)
        self._wake_redrive = asyncio.Event()

    async def check(self) -> None:
        """Check that the consumer can start.

        Raises:
            ReelsyncError: it cannot; says what to do.
        """
        await check_schema(self.settings.database)
        await check_database(self.settings.database)
        await check_writes(self.settings.database, self.settings.kafka.group_id, skip_if_locked=True)
        self.health.schema_verified = True
        topics = await check_brokers(self.kafka_log)
        hidden = await hidden_positions(self.settings, topics)
        check_topics(topics, self.settings.kafka, hidden)
        self.source.last_assignment = set(hidden)
        check_relay_topic(topics, self.settings.dead_letters.relay_topic)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`.

        Raises:
            ReelsyncError: the consumer must not go on; says why, and what to do.
        """
        tasks: dict[Task, Work] = {"lag": self._watch_lag, "log_summary": self._log_summaries}
        try:
            async with running(tasks | self._work_on_letters(stop), self.seen.task_failed):
                await self.loop.run(stop)
        finally:
            await self.engine.dispose()
            await asyncio.to_thread(self.telemetry.shut_down)

    def _start_telemetry(self) -> Telemetry:
        if not self.settings.otel.enabled:
            return Telemetry()
        telemetry = start_telemetry(self.metrics.families, self.settings.kafka.group_id, package_version())
        if telemetry.tracing:
            self.metrics.exemplar = telemetry.tracing.exemplar
        return telemetry

    def _measure_engine(self) -> None:
        """Time the statements, and count the connections of the pool."""
        traced = [self.telemetry.tracing.query] if self.telemetry.tracing else []
        slow_queries = slow_queries_of(self.metrics, self.settings.log)
        attach_query_timing(self.engine, self.metrics.query, slow_queries, *traced)
        pool_limit = self.settings.database.pool_size + self.settings.database.max_overflow
        self.metrics.watch_pool(partial(get_pool_stats, self.engine), pool_limit)

    def _new_probe(self) -> Probe:
        return Probe(
            self.ledger.all_next_offsets,
            self.kafka_log.survey,
            self.health,
            self.settings.kafka.topics.keys(),
            lambda: reading_of(self.source),
            self.settings.http.probe_seconds,
        )

    def _work_on_letters(self, stop: asyncio.Event) -> dict[Task, Work]:
        """The background tasks for dead letters."""
        limits, group = self.settings.dead_letters, self.settings.kafka.group_id
        backoff = Backoff(limits.redrive_min_seconds, limits.redrive_max_seconds)
        redrive = partial(redrive_conflicts, self.engine, group, self.writer, self.decode)
        age = timedelta(days=limits.retention_days) if limits.retention_days else None
        tasks: dict[Task, Work] = {
            "redrive": partial(redrive_until, stop, self._wake_redrive, backoff, redrive),
            "retention": partial(expire_until, stop, partial(blank_expired, self.engine, group, age)),
        }
        if self.relay:
            tasks["relay"] = partial(self.relay.run, stop)
        return tasks

    def _relay_of(self, settings: Settings) -> KafkaRelay | None:
        topic = settings.dead_letters.relay_topic
        if topic is None:
            return None
        return KafkaRelay(self.engine, settings.kafka.group_id, settings.kafka, topic, self.metrics.relayed.inc)

    async def _watch_lag(self) -> None:
        while True:
            self.metrics.lags(self.source.lags())
            await asyncio.sleep(_LAG_SECONDS)

    async def _log_summaries(self) -> None:
        while True:
            await asyncio.sleep(_SUMMARY_SECONDS)
            self.seen.log_summary(sum(self.source.lags().values()))

    def _committed(self, batch: Batch, written: list[Written]) -> None:
        reasons = {rejection.reason for part in written for rejection in part.rejections}
        if "conflict" in reasons:
            self._wake_redrive.set()
        if self.relay and reasons:
            self.relay.wake.set()
        if self.observe:
            self.observe(batch, written)


def health_of(settings: Settings) -> Health:
    """A health whose limits leave time for a statement to reach its timeout, and for a check of the servers."""
    http = settings.http
    at_least = max(2 * settings.database.statement_timeout, 4 * http.probe_seconds)
    return Health(stalled_seconds=max(http.stalled_seconds, at_least), blocked_seconds=http.blocked_seconds)


def slow_queries_of(metrics: Metrics, limits: LogSettings) -> SlowQueries:
    """What logs and counts slow statements, with the limits of the settings."""
    return SlowQueries(
        metrics.slow_queries,
        noticeable_seconds=limits.noticeable_query_seconds,
        slow_seconds=limits.slow_query_seconds,
    )
