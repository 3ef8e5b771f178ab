"""Turns what happens to batches into metrics, health, the status, traces, and a regular line of log."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

import structlog

from reelsync.consumer.background import Task
from reelsync.consumer.health.health import Health
from reelsync.consumer.health.probe import Probe
from reelsync.consumer.observer import Activity, Failure, Written
from reelsync.consumer.telemetry.logs import batch_id
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.telemetry.opentelemetry import Telemetry
from reelsync.consumer.transform.batch import Batch

from .document import BatchStatus, batch_status
from .history import History, Step
from .recent_dead_letters import Parked, latest_few, parked_now

_log = structlog.get_logger("reelsync")


class PathObserver:
    """The observer of one consumer. `committed` is called with each batch that was committed, and what was written."""

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        probe: Probe,
        telemetry: Telemetry,
        committed: Callable[[Batch, list[Written]], None],
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._probe = probe
        self._tracing = telemetry.tracing
        self._committed = committed
        self.last_batch: tuple[float, BatchStatus] | None = None
        """When the last batch was committed, by the clock of `health`, and what it was."""
        self.history = History(health.clock)
        self.history.started()
        self.parked: list[Parked] = []
        """The latest dead letters of each reason."""
        self._since: Counter[str] = Counter()

    def attempt_failed(self, activity: Activity, failure: Failure) -> None:
        """Count it, and note which server it was."""
        self._metrics.retries.labels(failure.reason).inc()
        self._health.failed(activity, failure.description, outage=failure.outage, server=failure.server)

    def retry_scheduled(self, activity: Activity, seconds: float) -> None:
        """Note when."""
        self._health.trying_again(activity, seconds)

    def recovered(self, activity: Activity) -> None:
        """Forget the failure."""
        self._health.recovered(activity)

    def rebalanced(self) -> None:
        """Count it."""
        self._metrics.rebalances.inc()

    def kafka_commit_failed(self) -> None:
        """Count it."""
        self._metrics.kafka_commit_failures.inc()

    def batch_fenced(self) -> None:
        """Count it."""
        self._metrics.fenced.inc()

    @contextmanager
    def writing(self, batch: Batch) -> Iterator[None]:
        """Give all log lines of the batch one id, and its statements a span."""
        with batch_id() as name, self._tracing.batch(batch, name) if self._tracing else nullcontext():
            yield

    def batch_committed(self, batch: Batch, written: list[Written]) -> None:
        """Count its records and rows, and keep what the status shows of it."""
        rejections = [rejection for part in written for rejection in part.rejections]
        if self._tracing:
            self._tracing.committed(written)
        age_seconds = batch.age_seconds(datetime.now(UTC))
        self._metrics.batch(batch, written, age_seconds)
        read_again = self._probe.read_again(batch.spans)
        self._probe.committed(batch.positions)
        self._health.reached("postgresql")
        status = batch_status(batch, written)
        self.last_batch = (self._health.clock(), status)
        reasons = Counter[str](rejection.reason for rejection in rejections)
        replayed = replayed_of(status, read_again)
        age_seconds = None if replayed else age_seconds
        self.history.committed(Step(0, batch.count, replayed, reasons, age_seconds, phases=status.seconds))
        self.parked = latest_few([*parked_now(rejections, self._health.clock()), *self.parked])
        self._committed(batch, written)
        self._since.update(batches=1, records=batch.count, dead_letters=len(rejections))

    def task_failed(self, task: Task) -> None:
        """Count it, and keep it for the status."""
        self._metrics.task_failures.labels(task).inc()
        self.history.task_failed(task)

    def log_summary(self, lag: int) -> None:
        """Log what was committed since the last summary."""
        if self._since.total():
            _log.info("batches.committed", **self._since, lag=lag)
            self._since.clear()


def replayed_of(batch: BatchStatus, read_again: int) -> int:
    """How many records of a batch are a replay, if `read_again` of them are below positions that were reached before.

    A topic that was created again is below them too, and so is a database that went back: there rows change.
    """
    if batch.rows_sent and not batch.rows_written:
        return batch.records
    return read_again if batch.rows_written < batch.rows_sent / 2 else 0
