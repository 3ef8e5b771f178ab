"""Plain counters: exposed as prometheus_client exposes its own, and added up over processes."""

import pickle

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from reelsync.consumer.counters import Family, FamilyCollector, added_up
from reelsync.consumer.records import Partition
from reelsync.consumer.status.snapshot import Past
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.timing.query_timing import QueryTiming
from tests.unit.test_united_status import report


def collected(*processes: Metrics) -> list[Family]:
    return [family for metrics in processes for family in metrics.families()]


def exposed(families: list[Family]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(FamilyCollector(lambda: added_up(families).values()))
    return registry


def value(families: list[Family], sample: str, **labels: str) -> float | None:
    return exposed(families).get_sample_value(sample, labels)


def test_what_is_exposed_is_what_prometheus_client_makes_of_the_same() -> None:
    bounds = (0.001, 0.25, 1, 15_000, 86_400)
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    families = [
        Family("seconds", "histogram", "How long.", ("phase",), bounds),
        Family("errors", "counter", "How often.", ("reason", "server")),
        Family("plain", "counter", "Without labels."),
        Family("lag", "gauge", "How much."),
    ]
    ours.register(FamilyCollector(lambda: families))
    instruments = [
        Histogram("seconds", "How long.", ("phase",), buckets=bounds, registry=theirs),
        Counter("errors", "How often.", ("reason", "server"), registry=theirs),
        Counter("plain", "Without labels.", registry=theirs),
        Gauge("lag", "How much.", registry=theirs),
    ]
    for seconds, errors, _plain, lag in (families, instruments):
        for observed in (0.0005, 0.25, 0.2500001, 86_400, 1e9):
            seconds.labels("write").observe(observed, {"trace_id": "a"})
        errors.labels("out\\age", 'k"\n').inc(2)
        lag.set(3.5)
    for exposition in (generate_latest, generate_openmetrics):
        lines = [
            [line.partition(" # ")[0] for line in exposition(registry).decode().splitlines() if "_created" not in line]
            for registry in (ours, theirs)
        ]
        assert lines[0] == lines[1]
        assert len(lines[0]) > 15
    assert generate_openmetrics(ours).count(b'{trace_id="a"}') == 5


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
    """For a moment after a rebalance two workers report one partition: it has not twice the lag."""
    one, other = Metrics(), Metrics()
    one.lags({Partition("video-events", 0): 7, Partition("video-events", 1): 5})
    other.lags({Partition("video-events", 1): 6})
    one.halted_partitions.set(1)
    other.halted_partitions.set(2)
    families = collected(one, other)
    assert value(families, "reelsync_lag_records", topic="video-events", partition="0") == 7
    assert value(families, "reelsync_lag_records", topic="video-events", partition="1") == 6
    assert value(families, "reelsync_halted_partitions") == 3


def test_a_server_is_reachable_if_every_worker_reaches_it() -> None:
    one, other = Metrics(), Metrics()
    one.watch_readiness(lambda: (True, ()))
    other.watch_readiness(lambda: (False, ["kafka"]))
    families = collected(one, other)
    assert value(families, "reelsync_server_reachable", server="postgresql") == 1
    assert value(families, "reelsync_server_reachable", server="kafka") == 0
    assert value(families, "reelsync_ready") == 0


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
    past = Past().with_ended(report(metrics=ended.families()))
    assert value([*past.metrics], "reelsync_fenced_total") == 1
    remaining = {family.name for family in past.metrics}
    assert "db_client_operation_duration_seconds" in remaining
    assert not {"reelsync_halted_partitions", "reelsync_lag_records"} & remaining


def test_the_later_exemplar_is_kept() -> None:
    one, other = Metrics(), Metrics()
    one.batch_records.observe(5, {"trace_id": "a"})
    other.batch_records.observe(5, {"trace_id": "b"})
    text = generate_openmetrics(exposed(collected(other, one))).decode()
    samples = [sample for family in parse_openmetrics(text) for sample in family.samples]
    (exemplar,) = [sample.exemplar for sample in samples if sample.exemplar]
    assert exemplar.labels == {"trace_id": "b"}


def test_what_a_worker_sends_is_what_it_has_and_adding_up_changes_nothing_of_it() -> None:
    metrics = Metrics()
    metrics.query(QueryTiming("videos.merge", 0.2, 1))
    sent = pickle.dumps(metrics.families())
    assert generate_latest(exposed(pickle.loads(sent))) == generate_latest(metrics.registry)
    added_up(collected(metrics, metrics))
    assert pickle.dumps(metrics.families()) == sent
