"""What a real peer receives by OTLP: the numbers of /metrics, a span for each batch, and one for each statement."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from reelsync.consumer.telemetry.otlp_metrics import NAMES
from reelsync.testing.servers.child_process import free_port
from tests.support.builders import an_id, usage, user, video
from tests.support.processes import process
from tests.support.running import consuming, publish, topic_of, until_applied
from tests.timing.collector import Collected, attributes, collecting, sending

Headers = Sequence[tuple[str, bytes]]


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    with collecting() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "reelsync-of-the-test")
        yield collected


def a_span() -> tuple[str, str]:
    return secrets.token_hex(16), secrets.token_hex(8)


def traceparent(span: tuple[str, str]) -> str:
    return f"00-{span[0]}-{span[1]}-01"


async def publish_traced(settings: Settings, records: Sequence[tuple[bytes | None, Headers]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    topic = topic_of(settings, "video")
    for value, headers in records:
        await producer.send_and_wait(topic, value, key=an_id(1).encode(), headers=list(headers))
    await producer.stop()


async def run(settings: Settings) -> Consumer:
    """Consume all there is, and end."""
    async with consuming(settings) as consumer:
        await until_applied(settings)
    return consumer


async def test_a_batch_is_linked_to_its_publishers_and_has_a_span_for_each_statement(
    settings: Settings, collected: Collected
) -> None:
    by_header, by_cloudevent, by_member, rejected = a_span(), a_span(), a_span(), a_span()
    members = {"traceparent": traceparent(by_member)}
    document = video("created", 3).replace(b'"source"', f'"traceparent": "{members["traceparent"]}", "source"'.encode())
    await publish_traced(
        settings,
        [
            (video("created", 1), [("traceparent", traceparent(by_header).encode())]),
            (video("progressed", 1, 2), [("ce_traceparent", traceparent(by_cloudevent).encode())]),
            (document, []),
            (b"not json", [("traceparent", traceparent(rejected).encode())]),
            (video("created", 4), [("traceparent", b"\xff\x00 junk"), ("tracestate", b"\xff")]),
            (video("created", 5), [("traceparent", f"00-{'0' * 32}-{'0' * 16}-01".encode())]),
            (video("created", 6).replace(b'"source"', b'"traceparent": ["\xff"], "source"'), []),
        ],
    )
    consumer = await run(sending(settings))
    batches = [span for span in collected.spans if span.name == "process batch"]
    count = consumer.metrics.registry.get_sample_value("reelsync_batch_records_count")
    assert len(batches) == count > 0
    links = [(link.trace_id.hex(), link.span_id.hex()) for span in batches for link in span.links]
    assert sorted(links) == sorted([by_header, by_cloudevent, by_member, rejected])
    assert sum(attributes(span)["messaging.batch.message_count"] for span in batches) == 7
    assert sum(attributes(span)["reelsync.batch.rejected"] for span in batches) == 2
    assert all(attributes(span)["reelsync.batch.committed"] for span in batches)
    assert all(not span.parent_span_id and span.end_time_unix_nano > span.start_time_unix_nano for span in batches)
    for batch in batches:
        assert_has_its_statements(batch, collected)
    merges = [span for span in collected.spans if span.name == "videos.merge"]
    assert {attributes(span)["db.collection.name"] for span in merges} == {"videos"}
    assert all(attributes(span)["db.query.text"].startswith("INSERT INTO videos") for span in merges)
    assert {span.name for span in collected.spans if not span.parent_span_id} == {"process batch"}
    assert {resource["service.name"] for resource in collected.resources} == {"reelsync-of-the-test"}


def assert_has_its_statements(batch: Any, collected: Collected) -> None:
    inside = [span for span in collected.spans if span.parent_span_id == batch.span_id]
    names = [span.name for span in inside]
    assert names[0] == "pool.wait"
    assert names[-1] == "commit"
    assert {"offsets.fence"} <= set(names)
    assert all(span.trace_id == batch.trace_id for span in inside)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano <= batch.end_time_unix_nano for span in inside)


async def test_a_statement_that_fails_is_an_error_in_its_batch(settings: Settings, collected: Collected) -> None:
    names = [user("created", 1), user("created", 2, username="user_1")]
    await publish(settings, topic_of(settings, "user"), [(b"one key", event) for event in names])
    await run(sending(settings))
    failed = [span for span in collected.spans if span.name == "users.merge" and span.status.code == 2]
    assert failed
    assert {attributes(span)["db.response.status_code"] for span in failed} == {"23P01"}
    assert {attributes(span)["error.type"] for span in failed} == {"23"}
    assert "user_1" not in str(collected.spans)
    assert "savepoint" in {span.name for span in collected.spans}


async def test_the_metrics_are_those_of_the_endpoint(settings: Settings, collected: Collected) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(40)])
    await publish(settings, topic_of(settings, "model_usage"), [(an_id(1).encode(), usage(1)), (b"?", b"not json")])
    consumer = await run(sending(settings))
    assert set(collected.metrics) <= {name for name, _ in NAMES.values()}
    compared = 0
    for family in consumer.metrics.registry.collect():
        if not family.samples:
            continue
        name, unit = NAMES[family.name]
        sent = collected.metrics[name]
        assert sent.unit == unit
        points = {
            frozenset(attributes(point).values()): point for point in getattr(sent, sent.WhichOneof("data")).data_points
        }
        for sample in family.samples:
            labels = dict(sample.labels)
            bound = labels.pop("le", None)
            point = points[frozenset(value for value in labels.values() if value)]
            if sample.name.endswith("_created"):
                continue
            assert number(point, sample.name.removeprefix(family.name), bound) == pytest.approx(sample.value)
            compared += 1
    assert compared > 300
    assert {NAMES[name][0] for name in NAMES if name.startswith("db_")} - set(collected.metrics) == {
        "db.client.slow_queries"
    }


def number(point: Any, kind: str, bound: str | None) -> float:
    """What a point says of a sample of Prometheus'."""
    if kind == "_count":
        return float(point.count)
    if kind == "_sum":
        return float(point.sum)
    if kind == "_bucket":
        bounds = [*point.explicit_bounds, float("inf")]
        return float(sum(point.bucket_counts[: bounds.index(float(bound or "inf")) + 1]))
    return float(point.as_double)


async def test_exemplars_lead_to_a_trace_and_are_in_openmetrics_alone(settings: Settings, collected: Collected) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
    consumer = await run(sending(settings))
    traces = {span.trace_id.hex() for span in collected.spans}
    exemplars = [
        (sample.name, sample.exemplar)
        for family in consumer.metrics.registry.collect()
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert {name for name, _ in exemplars} == {
        "db_client_operation_duration_seconds_bucket",
        "reelsync_batch_records_bucket",
        "reelsync_batch_duration_seconds_bucket",
        "reelsync_event_age_seconds_bucket",
    }
    assert {exemplar.labels["trace_id"] for _, exemplar in exemplars} <= traces
    assert "# {" in generate_openmetrics(consumer.metrics.registry).decode()
    assert "trace_id" not in generate_latest(consumer.metrics.registry).decode()
    sent = [
        exemplar.trace_id.hex()
        for point in collected.metrics["db.client.operation.duration"].histogram.data_points
        for exemplar in point.exemplars
    ]
    assert set(sent) <= traces
    assert sent


async def test_signals_can_be_turned_off_one_by_one(
    settings: Settings, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
    consumer = await run(sending(settings))
    assert collected.metrics
    assert not collected.spans
    assert "trace_id" not in generate_openmetrics(consumer.metrics.registry).decode()


async def test_a_collector_that_is_away_holds_up_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
    await asyncio.wait_for(run(sending(settings)), 60)


async def test_each_worker_sends_its_own(settings: Settings, collected: Collected) -> None:
    """Two processes under one supervisor, which ends them: what they had left is sent too."""
    ports = settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})})
    await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(60)])
    with process(sending(ports), "-m", "reelsync.consumer", "run", "--workers", "2") as supervisor:
        await until_applied(settings)
        supervisor.terminate()
        await asyncio.to_thread(supervisor.communicate, timeout=60)
    assert supervisor.returncode == 0
    batches = [attributes(span) for span in collected.spans if span.name == "process batch"]
    committed = [batch for batch in batches if "reelsync.batch.committed" in batch]
    assert sum(batch["messaging.batch.message_count"] for batch in committed) == 60
    assert len({resource["service.instance.id"] for resource in collected.resources}) == 2
