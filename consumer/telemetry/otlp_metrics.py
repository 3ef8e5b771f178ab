"""The metrics of `/metrics`, converted to OpenTelemetry's form each time that they are sent. Needs the extra `otel`.

Both forms are read from the same counters, so they cannot differ, and a statement costs no more. In names, underscores
that stand for dots become dots again, and units and `_total` are dropped; labels get OpenTelemetry's names. Source:
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
"""

from collections.abc import Callable, Iterable, Iterator
from time import time_ns

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.samples import Exemplar as Observed

from reelsync.consumer.counters import Family, Labels, Series

NAMES = {
    "db_client_operation_duration_seconds": ("db.client.operation.duration", "s"),
    "db_client_connection_count": ("db.client.connection.count", "{connection}"),
    "db_client_connection_max": ("db.client.connection.max", "{connection}"),
    "db_client_slow_queries": ("db.client.slow_queries", "{query}"),
    "reelsync_events": ("reelsync.events", "{event}"),
    "reelsync_rows": ("reelsync.rows", "{row}"),
    "reelsync_dead_letters": ("reelsync.dead_letters", "{record}"),
    "reelsync_dead_letters_relayed": ("reelsync.dead_letters.relayed", "{record}"),
    "reelsync_batch_records": ("reelsync.batch.records", "{record}"),
    "reelsync_batch_duration_seconds": ("reelsync.batch.duration", "s"),
    "reelsync_event_age_seconds": ("reelsync.event.age", "s"),
    "reelsync_lag_records": ("reelsync.lag", "{record}"),
    "reelsync_rebalances": ("reelsync.rebalances", "{rebalance}"),
    "reelsync_fenced": ("reelsync.fenced", "{batch}"),
    "reelsync_retries": ("reelsync.retries", "{retry}"),
    "reelsync_version_conflicts": ("reelsync.version_conflicts", "{event}"),
    "reelsync_kafka_commit_failures": ("reelsync.kafka_commit_failures", "{commit}"),
    "reelsync_background_task_failures": ("reelsync.background_task_failures", "{error}"),
    "reelsync_observer_errors": ("reelsync.observer_errors", "{error}"),
    "reelsync_halted_partitions": ("reelsync.halted_partitions", "{partition}"),
    "reelsync_partition_state": ("reelsync.partition_state", "{partition}"),
    "reelsync_ready": ("reelsync.ready", "1"),
    "reelsync_server_reachable": ("reelsync.server.reachable", "1"),
}
"""The name and the unit of each family."""
_LABELS = {
    "db_system_name": "db.system.name",
    "db_operation_name": "db.operation.name",
    "db_collection_name": "db.collection.name",
    "error_type": "error.type",
    "state": "db.client.connection.state",
}


class FamiliesAsOtel:
    """The metrics in `families` as OpenTelemetry's data. All counts begin when this object is made."""

    def __init__(self, families: Callable[[], Iterable[Family]], resource: Resource) -> None:
        self._families = families
        self._resource = resource
        self._started_at = time_ns()

    def read(self) -> MetricsData:
        """The metrics as they are now."""
        metrics = list(otel_metrics(self._families(), self._started_at, time_ns()))
        scope = ScopeMetrics(InstrumentationScope("reelsync"), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])


def otel_metrics(families: Iterable[Family], started_at: int, now: int) -> Iterator[Metric]:
    """The metrics that have at least one series. Times are in nanoseconds since 1970."""
    for family in families:
        name, unit = NAMES[family.name]
        data = _data(family, started_at, now)
        if data.data_points:
            yield Metric(name, family.documentation, unit, data)


def _data(family: Family, started_at: int, now: int) -> Sum | Gauge | Histogram:
    cumulative = AggregationTemporality.CUMULATIVE
    # A copy, because this runs in another thread, and a series may be added meanwhile.
    found = [(_attributes(family.label_names, labels), series) for labels, series in list(family.series.items())]
    if family.kind == "histogram":
        return Histogram([_histogram(attributes, series, started_at, now) for attributes, series in found], cumulative)
    points = [NumberDataPoint(attributes, started_at, now, float(series.value)) for attributes, series in found]
    return Sum(points, cumulative, is_monotonic=True) if family.kind == "counter" else Gauge(points)


def _histogram(attributes: dict[str, str], series: Series, started_at: int, now: int) -> HistogramDataPoint:
    counts = list(series.counts)
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=started_at,
        time_unix_nano=now,
        count=sum(counts),
        sum=float(series.value),
        bucket_counts=counts,
        explicit_bounds=list(series.bounds),
        min=None,  # type: ignore[arg-type]  # not known, and then left out of the message
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(exemplar) for exemplar in list(series.exemplars.values())],
    )


def _exemplar(exemplar: Observed) -> Exemplar:
    span_id, trace_id = (int(exemplar.labels[name], 16) for name in ("span_id", "trace_id"))
    return Exemplar({}, exemplar.value, int(float(exemplar.timestamp or 0) * 1e9), span_id, trace_id)


def _attributes(names: Labels, values: Labels) -> dict[str, str]:
    """The labels as attributes, without those that are empty."""
    return {_LABELS.get(name, name): value for name, value in zip(names, values, strict=True) if value}
