"""Names, labels and units that dashboards and alerts of others rely on: exactly these, in both formats."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from reelsync.consumer.records import Partition
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.telemetry.otlp_metrics import NAMES
from reelsync.consumer.timing.query_metrics import QUERY_SECONDS
from reelsync.consumer.timing.query_timing import QueryTiming
from reelsync.models.engine import PoolStats

LABELS = {
    "db_client_operation_duration_seconds": {
        "db_system_name",
        "query_name",
        "db_operation_name",
        "db_collection_name",
        "error_type",
    },
    "db_client_connection_count": {"state"},
    "db_client_connection_max": set(),
    "db_client_slow_queries_total": {"query_name"},
    "reelsync_events_total": {"event_type", "outcome"},
    "reelsync_rows_total": {"table", "outcome"},
    "reelsync_dead_letters_total": {"reason"},
    "reelsync_dead_letters_relayed_total": set(),
    "reelsync_batch_records": set(),
    "reelsync_batch_duration_seconds": {"phase"},
    "reelsync_event_age_seconds": set(),
    "reelsync_lag_records": {"topic", "partition"},
    "reelsync_rebalances_total": set(),
    "reelsync_fenced_total": set(),
    "reelsync_retries_total": {"reason"},
    "reelsync_version_conflicts_total": set(),
    "reelsync_kafka_commit_failures_total": set(),
    "reelsync_halted_partitions": set(),
    "reelsync_partition_state": {"topic", "partition", "state"},
    "reelsync_ready": set(),
    "reelsync_server_reachable": {"server"},
    "reelsync_observer_errors_total": set(),
    "reelsync_background_task_failures_total": {"task"},
}
OPENTELEMETRY = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0}


@pytest.fixture
def registry() -> CollectorRegistry:
    """Everything counted once."""
    metrics = Metrics()
    metrics.watch_readiness(lambda: (True, ()))
    metrics.watch_pool(lambda: PoolStats(5, 1, 2, 0, 0), 50)
    metrics.query(QueryTiming("videos.merge", 0.5, 3))
    metrics.slow_queries.labels("videos.merge").inc()
    metrics.rows.labels("videos", "written").inc()
    metrics.dead_letters.labels("invalid").inc()
    metrics.batch_seconds.labels("poll").observe(0.1)
    metrics.lags({Partition("video-events", 0): 5})
    metrics.retries.labels("outage").inc()
    metrics.watch_partitions(lambda: {Partition("video-events", 0): "reading"})
    return metrics.registry


@pytest.mark.parametrize(
    ("exposed", "parse"), [(generate_latest, parse_text), (generate_openmetrics, parse_openmetrics)], ids=["text", "om"]
)
def test_names_and_labels(
    registry: CollectorRegistry, exposed: Callable[..., bytes], parse: Callable[..., object]
) -> None:
    found: dict[str, set[str]] = {}
    for family in parse(exposed(registry).decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                name = sample.name if family.type != "histogram" else family.name
                found.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    assert found == LABELS


def test_buckets_are_opentelemetrys_and_two_more() -> None:
    assert set(QUERY_SECONDS) - OPENTELEMETRY == {0.025, 0.25}
    assert set(QUERY_SECONDS) >= OPENTELEMETRY


def test_each_has_a_name_and_a_unit_in_opentelemetry(registry: CollectorRegistry) -> None:
    assert {family.name for family in registry.collect()} == set(NAMES)
    assert len({name for name, _ in NAMES.values()}) == len(NAMES)


def test_a_statement_has_all_its_labels(registry: CollectorRegistry) -> None:
    labels = {
        "db_system_name": "postgresql",
        "query_name": "videos.merge",
        "db_operation_name": "INSERT",
        "db_collection_name": "videos",
        "error_type": "",
    }
    assert registry.get_sample_value("db_client_operation_duration_seconds_count", labels) == 1
