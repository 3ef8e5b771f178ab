"""Metrics of several processes, added up as Prometheus would see one."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from reelsync.consumer.records import Partition
from reelsync.consumer.status.merged_metrics import UnitedMetrics, accumulated
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.timing.query_timing import QueryTiming


def collected(*processes: Metrics) -> list[Metric]:
    return [family for metrics in processes for family in metrics.registry.collect()]


def value(families: list[Metric], sample: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(UnitedMetrics(families))
    return registry.get_sample_value(sample, labels)


def test_counters_and_histograms_add_up_label_by_label() -> None:
    one, other = Metrics(), Metrics()
    one.dead_letters.labels("invalid").inc(2)
    other.dead_letters.labels("invalid").inc(3)
    other.dead_letters.labels("not_json").inc()
    one.batch_records.observe(5)
    other.batch_records.observe(700)
    families = collected(one, other)
    assert value(families, "reelsync_dead_letters_total", reason="invalid") == 5
    assert value(families, "reelsync_dead_letters_total", reason="not_json") == 1
    assert value(families, "reelsync_batch_records_bucket", le="10.0") == 1
    assert value(families, "reelsync_batch_records_bucket", le="1000.0") == 2
    assert value(families, "reelsync_batch_records_sum") == 705


def test_the_lag_is_each_partitions_and_other_gauges_add_up() -> None:
    """For a moment after a rebalance two workers speak of one partition: it has not twice the lag."""
    one, other = Metrics(), Metrics()
    one.lags({Partition("video-events", 0): 7, Partition("video-events", 1): 5})
    other.lags({Partition("video-events", 1): 6})
    one.halted_partitions.set(1)
    other.halted_partitions.set(2)
    families = collected(one, other)
    assert value(families, "reelsync_lag_records", topic="video-events", partition="0") == 7
    assert value(families, "reelsync_lag_records", topic="video-events", partition="1") == 6
    assert value(families, "reelsync_halted_partitions") == 3


def test_a_series_was_created_when_the_first_process_created_it() -> None:
    one, other = Metrics(), Metrics()
    assert value(collected(one), "reelsync_fenced_created") != value(collected(other), "reelsync_fenced_created")
    together = value(collected(other, one), "reelsync_fenced_created")
    assert together == value(collected(one), "reelsync_fenced_created")


def test_of_a_process_that_ended_the_counts_remain() -> None:
    ended = Metrics()
    ended.fenced.inc()
    ended.halted_partitions.set(1)
    ended.query(QueryTiming("videos.merge", 0.2, 1))
    remaining = {family.name for family in accumulated(collected(ended))}
    assert {"reelsync_fenced", "db_client_operation_duration_seconds"} <= remaining
    assert not {"reelsync_halted_partitions", "reelsync_lag_records"} & remaining


def test_both_formats_can_be_read_and_the_later_exemplar_is_kept() -> None:
    one, other = Metrics(), Metrics()
    one.batch_records.observe(5, {"trace_id": "a"})
    other.batch_records.observe(5, {"trace_id": "b"})
    for metrics in (one, other):
        metrics.query(QueryTiming("videos.merge", 0.2, 1))
        metrics.query(QueryTiming("videos.merge", 0.2, -1, "57014", "QueryCanceledError"))
    united = UnitedMetrics(collected(other, one))
    text = generate_openmetrics(united).decode()
    samples = [sample for family in parse_openmetrics(text) for sample in family.samples]
    (exemplar,) = [sample.exemplar for sample in samples if sample.exemplar]
    assert exemplar.labels == {"trace_id": "b"}
    assert generate_latest(united) == generate_latest(UnitedMetrics(united.collect()))


def test_adding_up_changes_nothing_that_was_given() -> None:
    one, other = Metrics(), Metrics()
    families = collected(one, other)
    before = [list(family.samples) for family in families]
    UnitedMetrics(families)
    assert [list(family.samples) for family in families] == before
