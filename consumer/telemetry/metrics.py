"""What is measured. Names, labels and units are the design's; labels come from closed sets only."""

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from reelsync.consumer.observer import Written
from reelsync.consumer.records import Partition
from reelsync.consumer.timing.query_metrics import QUERY_SECONDS, Exemplar, QueryMetrics
from reelsync.consumer.timing.query_timing import QueryTiming
from reelsync.consumer.transform.batch import Batch
from reelsync.consumer.transform.projections import PROJECTIONS
from reelsync.models.engine import PoolStats

_BATCH_RECORDS = (1, 10, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000)
_AGE_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400)
_OTHER = "other"


class Metrics:
    """The instruments of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queries = QueryMetrics(self.registry)
        self.query_seconds, self.slow_queries = self.queries.seconds, self.queries.slow
        self.events = self._counter("reelsync_events", "Records, by type and verdict.", "event_type", "outcome")
        # A series that begins above zero shows no increase: the first dead letters would alert nobody.
        for event_type in (*PROJECTIONS, _OTHER):
            self.events.labels(event_type, "rejected")
        self.rows = self._counter("reelsync_rows", "Rows sent to a table, by what came of them.", "table", "outcome")
        self.dead_letters = self._counter("reelsync_dead_letters", "Records parked, by reason.", "reason")
        self.relayed = self._counter(
            "reelsync_dead_letters_relayed", "Dead letters that the relay's topic acknowledged."
        )
        self.batch_records = self._histogram("reelsync_batch_records", "Records of a batch.", _BATCH_RECORDS)
        self.batch_seconds = self._histogram(
            "reelsync_batch_duration_seconds", "Seconds that a batch spent in each phase.", QUERY_SECONDS, "phase"
        )
        self.event_age = self._histogram(
            "reelsync_event_age_seconds", "Seconds from the time of a batch's oldest event to its commit.", _AGE_SECONDS
        )
        self.lag = self._gauge("reelsync_lag_records", "Records not yet taken.", "topic", "partition")
        self.rebalances = self._counter("reelsync_rebalances", "Assignments received.")
        self.fenced = self._counter("reelsync_fenced", "Batches refused because a partition has another owner.")
        self.retries = self._counter("reelsync_retries", "Batches run again, by reason.", "reason")
        self.version_conflicts = self._counter(
            "reelsync_version_conflicts", "Different events of one aggregate and version met in one batch."
        )
        self.observer_errors = self._counter(
            "reelsync_observer_errors", "Errors of metrics, status or traces; the path of a batch went on."
        )
        self.kafka_commit_failures = self._counter("reelsync_kafka_commit_failures", "Advisory commits that failed.")
        self.halted_partitions = self._gauge("reelsync_halted_partitions", "Partitions that wait for an operator.")

    @property
    def exemplar(self) -> Exemplar:
        """Gives the labels of the present trace, if there is one: exemplars of what is observed now."""
        return self.queries.exemplar

    @exemplar.setter
    def exemplar(self, exemplar: Exemplar) -> None:
        self.queries.exemplar = exemplar

    def query(self, timing: QueryTiming) -> None:
        """One statement."""
        self.queries.query(timing)

    def batch(self, batch: Batch, written: list[Written], age_seconds: float | None) -> None:
        """A batch that was committed, and the age of its oldest event."""
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
        """The lag of every partition that is being read, and of no other."""
        self.lag.clear()
        for partition, lag in lags.items():
            self.lag.labels(partition.topic, partition.number).set(lag)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self.registry)

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=self.registry)

    def _histogram(self, name: str, description: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, description, labels, buckets=buckets, registry=self.registry)


def known_type(event_type: str | None) -> str:
    """The type as a label: those that are projected, and `other` for whatever else a publisher may invent."""
    return _OTHER if event_type is None or event_type not in PROJECTIONS else event_type


class PoolCollector(Collector):
    """Gauges of one pool. `limit`: the connections that it may open, those beyond its size included.

    Source of the names: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
    """

    def __init__(self, stats: Callable[[], PoolStats], limit: int) -> None:
        self._stats = stats
        self._limit = limit

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What the pool is doing now."""
        stats = self._stats()
        count = GaugeMetricFamily(
            "db_client_connection_count", "Open connections to PostgreSQL, by state.", labels=("state",)
        )
        count.add_metric(("idle",), stats.checked_in)
        count.add_metric(("used",), stats.checked_out)
        yield count
        yield GaugeMetricFamily(
            "db_client_connection_max", "Connections to PostgreSQL that the pool may open.", value=self._limit
        )
