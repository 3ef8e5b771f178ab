"""The metrics of the consumer. Labels have values from closed sets only."""

from collections import Counter as Counts
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, get_args

from prometheus_client import CollectorRegistry

from reelsync.consumer.background import TASKS
from reelsync.consumer.counters import Family, FamilyCollector, Kind
from reelsync.consumer.observer import Server, Written
from reelsync.consumer.records import Partition
from reelsync.consumer.timing.query_metrics import QUERY_SECONDS, Exemplar, QueryMetrics
from reelsync.consumer.timing.query_timing import QueryTiming
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.projections import PROJECTIONS
from reelsync.models.engine import PoolStats

_BATCH_RECORDS = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000)
_AGE_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400)
_OTHER = "other"
_READ = frozenset({"reading", "settling", "held_back"})


def _metric(kind: Kind, name: str, documentation: str, *labels: str, **options: Any) -> Any:
    return field(default_factory=partial(Family, name, kind, documentation, labels, **options))


_counter, _gauge, _histogram = (partial(_metric, kind) for kind in get_args(Kind))


@dataclass
class Metrics:
    """The metrics of one process."""

    # Source of the pool's names: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
    pool_count: Family = _gauge("db_client_connection_count", "Open connections to PostgreSQL, by state.", "state")
    pool_limit: Family = _gauge("db_client_connection_max", "Connections to PostgreSQL that the pool may open.")
    events: Family = _counter("reelsync_events", "Records, by type and verdict.", "event_type", "outcome")
    rows: Family = _counter("reelsync_rows", "Rows sent to a table, by whether they were written.", "table", "outcome")
    dead_letters: Family = _counter("reelsync_dead_letters", "Records parked, by reason.", "reason")
    relayed: Family = _counter("reelsync_dead_letters_relayed", "Dead letters that the relay's topic acknowledged.")
    batch_records: Family = _histogram("reelsync_batch_records", "Records of a batch.", bounds=_BATCH_RECORDS)
    batch_seconds: Family = _histogram(
        "reelsync_batch_duration_seconds", "Seconds that a batch spent in each phase.", "phase", bounds=QUERY_SECONDS
    )
    event_age: Family = _histogram(
        "reelsync_event_age_seconds",
        "Seconds from the time of a batch's oldest event to its commit.",
        bounds=_AGE_SECONDS,
    )
    lag: Family = _gauge("reelsync_lag_records", "Records not yet read.", "topic", "partition", together="largest")
    rebalances: Family = _counter("reelsync_rebalances", "Assignments received.")
    fenced: Family = _counter("reelsync_fenced", "Batches refused because a partition has another owner.")
    retries: Family = _counter("reelsync_retries", "Batches run again, by reason.", "reason")
    version_conflicts: Family = _counter(
        "reelsync_version_conflicts", "Different events of one aggregate and version met in one batch."
    )
    observer_errors: Family = _counter(
        "reelsync_observer_errors", "Errors of metrics, status or traces; the path of a batch went on."
    )
    task_failures: Family = _counter(
        "reelsync_background_task_failures", "Errors of background tasks, which were started again.", "task"
    )
    kafka_commit_failures: Family = _counter("reelsync_kafka_commit_failures", "Advisory commits that failed.")
    halted_partitions: Family = _gauge(
        "reelsync_halted_partitions", "Partitions that wait for an operator, or for a broker."
    )
    partition_state: Family = _gauge(
        "reelsync_partition_state",
        "1 for each partition of this process: reading, settling, held_back, or why it is halted.",
        "topic",
        "partition",
        "state",
        together="largest",
    )
    ready: Family = _gauge("reelsync_ready", "Whether /readyz answers 200: 1, or 0.", together="smallest")
    reachable: Family = _gauge(
        "reelsync_server_reachable",
        "Whether the server answered the last check: 1, or 0.",
        "server",
        together="smallest",
    )

    def __post_init__(self) -> None:
        self.queries = QueryMetrics()
        self.query_seconds, self.slow_queries = self.queries.seconds, self.queries.slow
        self._families = [self.query_seconds, self.slow_queries, *(getattr(self, each.name) for each in fields(self))]
        self._pool_stats: Callable[[], PoolStats] | None = None
        self._readiness: Callable[[], tuple[bool, Collection[Server]]] | None = None
        self._states: Callable[[], Mapping[Partition, str]] | None = None
        self.registry = CollectorRegistry()
        self.registry.register(FamilyCollector(self.families))
        # A series must exist at zero before it counts: otherwise an alert on its increase misses the first failure.
        for event_type in (*PROJECTIONS, _OTHER):
            self.events.labels(event_type, "rejected")
        for task in TASKS:
            self.task_failures.labels(task)

    def families(self) -> list[Family]:
        """All metrics, with the connections of the pool and the readiness as they are now."""
        if self._pool_stats:
            stats = self._pool_stats()
            self.pool_count.labels("idle").set(stats.checked_in)
            self.pool_count.labels("used").set(stats.checked_out)
        if self._readiness:
            ready, unreachable = self._readiness()
            self.ready.set(float(ready))
            for server in get_args(Server):
                self.reachable.labels(server).set(float(server not in unreachable))
        if self._states:
            self._show(self._states())
        return self._families

    @property
    def exemplar(self) -> Exemplar:
        """Returns the labels of the current trace, or None, for the exemplars of what is observed now."""
        return self.queries.exemplar

    @exemplar.setter
    def exemplar(self, exemplar: Exemplar) -> None:
        self.queries.exemplar = exemplar

    def query(self, timing: QueryTiming) -> None:
        """Observe one statement."""
        self.queries.query(timing)

    def batch(self, batch: Batch, written: list[Written], age_seconds: float | None) -> None:
        """Count a committed batch, and observe the age of its oldest event."""
        exemplar = self.exemplar()
        self.batch_records.observe(batch.count, exemplar)
        rejections = [rejection for part in written for rejection in part.rejections]
        accepted = Counts(batch.event_types)
        accepted.subtract(known_type(r.event_type) for r in rejections if r.stage == "write")
        for event_type, count in accepted.items():
            self.events.labels(event_type, "accepted").inc(count)
        for rejection in rejections:
            self.events.labels(known_type(rejection.event_type), "rejected").inc()
            self.dead_letters.labels(rejection.reason).inc()
        for part in written:
            for table, sent in part.sent.items():
                self.rows.labels(table, "written").inc(part.changed[table])
                self.rows.labels(table, "unchanged").inc(sent - part.changed[table])
        for phase, seconds in batch.seconds.items():
            self.batch_seconds.labels(phase).observe(seconds, exemplar)
        self.batch_seconds.labels("write").observe(sum(part.write_seconds for part in written), exemplar)
        self.batch_seconds.labels("commit").observe(sum(part.commit_seconds for part in written), exemplar)
        self.version_conflicts.inc(batch.plan.conflicts)
        if age_seconds is not None:
            self.event_age.observe(age_seconds, exemplar)

    def lags(self, lags: dict[Partition, int]) -> None:
        """Set the lag of every partition that is being read, and remove all others."""
        self.lag.series = {}
        for partition, lag in lags.items():
            self.lag.labels(partition.topic, partition.number).set(lag)

    def watch_pool(self, stats: Callable[[], PoolStats], limit: int) -> None:
        """Show the connections of a pool as they are when the metrics are read. `limit`: how many it may open."""
        self._pool_stats = stats
        self.pool_limit.set(limit)

    def watch_readiness(self, readiness: Callable[[], tuple[bool, Collection[Server]]]) -> None:
        """Show whether the process is ready, and which servers do not answer, as it is when the metrics are read."""
        self._readiness = readiness

    def watch_partitions(self, states: Callable[[], Mapping[Partition, str]]) -> None:
        """Show what is done with each partition when the metrics are read."""
        self._states = states

    def _show(self, states: Mapping[Partition, str]) -> None:
        self.halted_partitions.set(sum(state not in _READ for state in states.values()))
        self.partition_state.series = {}
        for partition, state in states.items():
            self.partition_state.labels(partition.topic, partition.number, state).set(1)


def known_type(event_type: str | None) -> str:
    """The event type as a label: `other` for types that are not projected, because a publisher may invent any."""
    return _OTHER if event_type is None or event_type not in PROJECTIONS else event_type
