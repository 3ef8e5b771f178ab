"""The metrics of `/metrics`, sent by OTLP: the same numbers in OpenTelemetry's form, read when they are sent.

Nothing is counted twice, so the two cannot differ, and a statement costs no more for being sent. Needs the extra
`otel`. Names: underscores that stand for dots become dots, units and `_total` go; a label of OpenTelemetry's gets its
name back. Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import inf
from time import time_ns
from typing import Any

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
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

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
    "reelsync_observer_errors": ("reelsync.observer_errors", "{error}"),
    "reelsync_halted_partitions": ("reelsync.halted_partitions", "{partition}"),
}
"""The name and the unit of each family of ours; others keep their name."""
_LABELS = {
    "db_system_name": "db.system.name",
    "db_operation_name": "db.operation.name",
    "db_collection_name": "db.collection.name",
    "error_type": "error.type",
    "state": "db.client.connection.state",
}


class RegistryAsOtel:
    """A registry, read as OpenTelemetry's data. Counts began when this was made."""

    def __init__(self, registry: CollectorRegistry, resource: Resource) -> None:
        self._registry = registry
        self._resource = resource
        self._started_at = time_ns()

    def read(self) -> MetricsData:
        """What it has now."""
        metrics = list(otel_metrics(self._registry.collect(), self._started_at, time_ns()))
        scope = ScopeMetrics(InstrumentationScope("reelsync"), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])


def otel_metrics(families: Iterable[Family], started_at: int, now: int) -> Iterator[Metric]:
    """What a registry has collected; times in nanoseconds since 1970."""
    for family in families:
        name, unit = NAMES.get(family.name, (family.name, family.unit))
        data = _data(family, started_at, now)
        if data.data_points:
            yield Metric(name, family.documentation, unit, data)


def _data(family: Family, started_at: int, now: int) -> Sum | Gauge | Histogram:
    cumulative = AggregationTemporality.CUMULATIVE
    if family.type == "histogram":
        return Histogram(list(_histograms(family.samples, started_at, now)), cumulative)
    counted = [sample for sample in family.samples if not sample.name.endswith("_created")]
    points = [NumberDataPoint(_attributes(sample.labels), started_at, now, float(sample.value)) for sample in counted]
    return Sum(points, cumulative, is_monotonic=True) if family.type == "counter" else Gauge(points)


def _histograms(samples: Iterable[Sample], started_at: int, now: int) -> Iterator[HistogramDataPoint]:
    series: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in samples:
        key = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        kind = sample.name.rpartition("_")[2]
        values = series.setdefault(key, {"buckets": {}, "exemplars": []})
        if kind == "bucket":
            values["buckets"][float(sample.labels["le"])] = int(sample.value)
            values["exemplars"] += _exemplars(sample)
        else:
            values[kind] = sample.value
    for key, values in series.items():
        bounds = sorted(values["buckets"])
        counts = [0, *(values["buckets"][bound] for bound in bounds)]
        yield HistogramDataPoint(
            attributes=_attributes(dict(key)),
            start_time_unix_nano=started_at,
            time_unix_nano=now,
            count=int(values["count"]),
            sum=values["sum"],
            bucket_counts=[after - before for before, after in pairwise(counts)],
            explicit_bounds=[bound for bound in bounds if bound != inf],
            min=None,  # type: ignore[arg-type]  # not known, and then left out of the message
            max=None,  # type: ignore[arg-type]
            exemplars=values["exemplars"],
        )


def _exemplars(bucket: Sample) -> list[Exemplar]:
    exemplar = bucket.exemplar
    if exemplar is None:
        return []
    span_id, trace_id = (int(exemplar.labels[name], 16) for name in ("span_id", "trace_id"))
    return [Exemplar({}, exemplar.value, int(float(exemplar.timestamp or 0) * 1e9), span_id, trace_id)]


def _attributes(labels: dict[str, str]) -> dict[str, str]:
    """An empty label is one that is not there."""
    return {_LABELS.get(name, name): value for name, value in labels.items() if value}
