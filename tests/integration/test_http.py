"""The HTTP endpoints of a running consumer, asked over HTTP."""

import signal
import urllib.error
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.builders import an_id, video
from tests.support.http_client import Client, quick, served
from tests.support.processes import process
from tests.support.running import eventually, publish, topic_of, until_applied


async def test_ready_and_live_once_it_consumes(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "video"), [(an_id(n).encode(), video("created", n)) for n in range(50)])
    async with served(quick(settings)) as (_, client):
        await eventually(client.answers("/readyz", 200), "ready")
        await until_applied(settings)
        assert (await client.get("/livez")).json == {"ok": True, "reasons": []}

        async def all_told() -> bool:
            return (await client.status())["lag"] == 0 and len((await client.status())["partitions"]) == 9

        await eventually(all_told, "the lag is known")
        status = await client.status()
        assert (status["live"], status["ready"], status["reasons"]) == (True, True, [])
        assert sum(partition["position"] for partition in status["partitions"]) == 50
        assert {partition["assigned"] for partition in status["partitions"]} == {True}
        assert status["last_batch"]["rows_written"] > 0
        assert set(status["last_batch"]["seconds"]) == {"poll", "decode", "fold", "write", "commit"}


async def test_not_ready_before_it_is_assigned_and_the_schema_verified(settings: Settings) -> None:
    consumer = Consumer(quick(settings))
    async with consumer.monitor.serving() as port:
        client = Client(port)
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert answer.json["ok"] is False
        assert any("schema" in reason for reason in answer.json["reasons"])
        assert any("assigned" in reason for reason in answer.json["reasons"])
        await consumer.check()
        assert not any("schema" in reason for reason in (await client.get("/readyz")).json["reasons"])
        assert (await client.get("/livez")).status == 200
        assert (await client.status())["notices"][0]["text"].startswith("Joining the group for ")


async def test_a_halted_partition_is_told_in_words(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(b"one key", video("created", n)) for n in range(10)])
    async with served(quick(settings)) as (consumer, client):
        await until_applied(settings)
        held = next(partition for partition, position in consumer.source.positions.items() if position)
        async with consumer.engine.begin() as connection:
            await connection.exec_driver_sql(
                f"UPDATE consumer_offsets SET next_offset = 1000 WHERE topic = '{held.topic}' "
                f"AND partition = {held.number}"
            )
        await publish(settings, topic, [(b"one key", video("created", 11))])

        async def halted() -> bool:
            return any(partition["halted"] for partition in (await client.status())["partitions"])

        await eventually(halted, "the partition is halted")
        (told,) = [partition for partition in (await client.status())["partitions"] if partition["halted"]]
        assert (told["topic"], told["partition"], told["assigned"]) == (held.topic, held.number, True)
        assert told["halted"]["reason"] == "truncated"
        assert "the log ends at 11" in told["halted"]["why"]
        assert told["halted"]["fix"].startswith(f"reelsync offsets reset {held.topic} {held.number}")
        assert (await client.get("/livez")).status == 200
        assert (await client.get("/readyz")).status == 200


async def test_metrics_in_both_formats(settings: Settings) -> None:
    records = [(an_id(n).encode(), video("created", n)) for n in range(30)] + [(b"key", b"not json")]
    await publish(settings, topic_of(settings, "video"), records)
    async with served(quick(settings)) as (_, client):
        await until_applied(settings)

        async def committed() -> bool:
            return (await client.status())["dead_letters"] == {"not_json": 1}

        await eventually(committed, "the dead letter is counted")
        plain = await client.get("/metrics")
        opened = await client.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert plain.headers["Content-Type"].startswith("text/plain")
    assert opened.headers["Content-Type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    for families in (parse_text(plain.text), parse_openmetrics(opened.text)):
        samples = {
            (sample.name, sample.labels.get("outcome")): sample.value
            for family in families
            if family.name == "reelsync_events"
            for sample in family.samples
            if sample.labels.get("event_type") == "video.created"
        }
        assert samples["reelsync_events_total", "accepted"] == 30


PATHS = ["/", "/livez", "/readyz", "/metrics", "/status.json"]


async def test_read_only_and_nothing_to_frame_or_sniff(settings: Settings) -> None:
    async with served(quick(settings)) as (_, client):
        await eventually(client.answers("/readyz", 200), "ready")
        for path in PATHS:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                refused = await client.get(path, method=method)
                assert (refused.status, refused.headers["Allow"]) == (405, "GET,HEAD")
            head = await client.get(path, method="HEAD")
            assert (head.status, head.text) == (200, "")
            answer = await client.get(path)
            assert answer.headers["Server"] == "reelsync"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        unknown = await client.get("/etc/passwd")
        assert (unknown.status, unknown.headers["Server"]) == (404, "reelsync")


async def test_no_endpoint_tells_a_secret_or_a_setting(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "user"), [(b"key", b'{"secret":"swordfish"}')])
    url = settings.database.url.get_secret_value()
    password = url.split(":")[2].split("@")[0]
    async with served(quick(settings)) as (_, client):
        await until_applied(settings)
        everything = "".join([(await client.get(path)).text for path in PATHS])
    for hidden in (password, url, "swordfish", settings.kafka.bootstrap_servers, "asyncpg://"):
        assert hidden not in everything


async def test_run_answers_while_it_waits_for_its_servers_and_when_it_consumes(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    port = free_port()
    client = Client(port)

    async def waiting() -> bool:
        try:
            reasons = (await client.get("/readyz")).json["reasons"]
        except urllib.error.URLError:
            return False
        assert (await client.get("/livez")).status == 200
        return any(reason.startswith("start waits out an outage") for reason in reasons)

    postgres.shut_down()
    with process(quick(settings, port=port), "-m", "reelsync.consumer", "run") as running:
        try:
            await eventually(waiting, "it waits for PostgreSQL")
        finally:
            postgres.start()
        await eventually(client.answers("/readyz", 200), "it consumes")
        assert (await client.status())["group"] == settings.kafka.group_id
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


async def test_a_port_that_is_taken_is_an_error_with_a_way_out(settings: Settings) -> None:
    async with served(quick(settings)) as (_, client):
        taken = int(client.base.rpartition(":")[2])
        with pytest.raises(ReelsyncError, match="REELSYNC_HTTP__PORT"):
            async with Consumer(quick(settings, port=taken)).monitor.serving():
                pass
