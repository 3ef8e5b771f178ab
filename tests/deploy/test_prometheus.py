"""A real Prometheus with the shipped rules, against a real consumer: series are there, and alerts fire."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reelsync.consumer.app import Consumer
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.deploy.prometheus import RULES, Prometheus, alerts, scraping
from tests.deploy.test_dashboard import expressions
from tests.support.builders import an_id, video
from tests.support.running import eventually, publish, topic_of, until_applied

EVENTS = 50
POISON = 20
NOTHING_TO_SHOW = {"Slow statements", "Failed statements per second", "Batches run again"}
"""Panels that may be empty: nothing was slow, failed or was tried again, and such series begin with the first."""
SHORTENED = re.sub(r"\[5m\]", "[10s]", re.sub(r"for: \w+", "for: 1s", RULES.read_text()))
"""The rules that are shipped, with less patience."""


@asynccontextmanager
async def served(settings: Settings, port: int) -> AsyncIterator[Consumer]:
    """A consumer that answers on this port, checked and running."""
    http = {"port": port, "probe_seconds": 1.0}
    database = settings.database.model_dump() | {"statement_timeout": 1}
    consumer = Consumer(Settings.model_validate(settings.model_dump() | {"http": http, "database": database}))
    stop = asyncio.Event()
    async with consumer.monitor.serving():
        await consumer.check()
        running = asyncio.create_task(consumer.run(stop))
        try:
            yield consumer
        finally:
            stop.set()
            await running


class Watched:
    """Prometheus, asked from another thread: the consumer that it scrapes is in this one."""

    def __init__(self, server: Prometheus, port: int) -> None:
        self._server = server
        self.instance = f"127.0.0.1:{port}"

    async def number(self, expression: str) -> float | None:
        return await asyncio.to_thread(self._server.number, expression)

    async def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        return await asyncio.to_thread(self._server.query, expression)

    async def until(self, expression: str, value: float) -> None:
        async def equal() -> bool:
            return await self.number(expression) == value

        await eventually(equal, f"{expression} is {value}")

    async def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name."""
        answer = await asyncio.to_thread(self._server.api, "alerts")
        return {alert["labels"]["alertname"]: alert for alert in answer["alerts"] if alert["state"] == "firing"}

    async def until_fires(self, name: str) -> dict[str, Any]:
        async def fires() -> bool:
            return name in await self.firing()

        await eventually(fires, f"{name} fires")
        return (await self.firing())[name]

    async def until_silent(self, name: str) -> None:
        async def silent() -> bool:
            return name not in await self.firing()

        await eventually(silent, f"{name} does not fire")

    async def rules(self) -> list[dict[str, Any]]:
        groups = (await asyncio.to_thread(self._server.api, "rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def watched(tmp_path: Path, port: int) -> Iterator[Watched]:
    with scraping(tmp_path, [port], SHORTENED) as server:
        yield Watched(server, port)


async def test_what_is_counted_is_what_was_sent_and_every_panel_has_an_answer(
    settings: Settings, watched: Watched, port: int
) -> None:
    async with served(settings, port):
        await watched.until("sum(up)", 1)
        assert await watched.number('sum(reelsync_events_total{outcome="rejected"})') == 0
        records = [(an_id(n).encode(), video("created", n)) for n in range(EVENTS)]
        await publish(settings, topic_of(settings, "video"), [*records, (b"key", b"not json")])
        await until_applied(settings)
        await watched.until('sum(reelsync_events_total{event_type="video.created", outcome="accepted"})', EVENTS)
        await watched.until('sum(reelsync_dead_letters_total{reason="not_json"})', 1)
        await watched.until("sum(reelsync_batch_records_sum)", EVENTS + 1)
        await watched.until('sum(reelsync_rows_total{table="videos", outcome="written"})', EVENTS)
        await watched.until("sum(reelsync_lag_records)", 0)
        await watched.until("count(reelsync_lag_records)", 9)
        await watched.until("db_client_connection_max", 50)
        assert await watched.number("sum(db_client_connection_count)")
        assert await watched.number('sum(db_client_operation_duration_seconds_count{query_name="commit"})')

        async def all_answered() -> bool:
            answers = [(title, await watched.query(expr)) for title, expr in expressions()]
            return {title for title, series in answers if not series} <= NOTHING_TO_SHOW

        await eventually(all_answered, "every panel has an answer")


async def test_prometheus_takes_the_rules_and_finds_nothing_wrong_with_a_healthy_consumer(
    settings: Settings, watched: Watched, port: int
) -> None:
    async with served(settings, port):
        await watched.until("sum(up)", 1)
        await publish(settings, topic_of(settings, "video"), [(b"key", video("created", 1))])
        await until_applied(settings)
        await watched.until("sum(reelsync_batch_records_sum)", 1)
        await watched.until_silent("ReelsyncDown")
        await watched.until_silent("ReelsyncNotReady")

        async def evaluated() -> bool:
            return all(rule["health"] == "ok" for rule in await watched.rules())

        await eventually(evaluated, "every rule was evaluated")
        assert {rule["name"] for rule in await watched.rules()} == {alert["alert"] for alert in alerts()}
        assert await watched.firing() == {}
    down = await watched.until_fires("ReelsyncDown")
    assert down["annotations"]["summary"].startswith((f"{watched.instance} does not answer", "No consumer answers"))


async def test_a_halted_partition_fires_until_it_is_reset(settings: Settings, watched: Watched, port: int) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(b"one key", video("created", n)) for n in range(10)])
    async with served(settings, port) as consumer:
        await until_applied(settings)
        held = next(partition for partition, position in consumer.source.positions.items() if position)
        where = f"WHERE topic = '{held.topic}' AND partition = {held.number}"
        async with consumer.engine.begin() as connection:
            await connection.exec_driver_sql(f"UPDATE consumer_offsets SET next_offset = 1000 {where}")
        await publish(settings, topic, [(b"one key", video("created", 11))])
        halted = await watched.until_fires("ReelsyncPartitionHalted")
        assert halted["labels"]["instance"] == watched.instance
        assert halted["annotations"]["summary"].startswith(f"1 partitions of {watched.instance} wait for an operator")
        assert halted["annotations"]["runbook_url"] == "https://reelsync.example/docs/runbook.md#a-partition-is-halted"
        async with consumer.engine.begin() as connection:
            await connection.exec_driver_sql(f"UPDATE consumer_offsets SET next_offset = 10 {where}")
        await watched.until_silent("ReelsyncPartitionHalted")
        await until_applied(settings)


async def test_dead_letters_fire_although_there_were_none_before(
    settings: Settings, watched: Watched, port: int
) -> None:
    """A series that began above zero would show no increase."""
    async with served(settings, port):
        await watched.until("sum(up)", 1)
        await publish(settings, topic_of(settings, "video"), [(b"key", b"not json")] * POISON)
        await until_applied(settings)
        await watched.until_fires("ReelsyncDeadLettersRising")


async def test_an_outage_of_the_database_fires_although_the_lag_is_zero(
    settings: Settings, watched: Watched, port: int, postgres: EmbeddedPostgres
) -> None:
    async with served(settings, port):
        await watched.until("sum(up)", 1)
        await publish(settings, topic_of(settings, "video"), [(b"key", video("created", 1))])
        await until_applied(settings)
        postgres.shut_down("immediate")
        try:
            await publish(settings, topic_of(settings, "video"), [(b"key", video("created", 2))])
            stalled = await watched.until_fires("ReelsyncConsumerStalled")
            assert stalled["labels"]["instance"] == watched.instance
            assert await watched.number("sum(reelsync_lag_records)") == 0
            not_ready = await watched.until_fires("ReelsyncNotReady")
            assert not_ready["labels"]["instance"] == watched.instance
            assert await watched.number('reelsync_server_reachable{server="postgresql"}') == 0
            assert await watched.number('reelsync_server_reachable{server="kafka"}') == 1
        finally:
            postgres.start()
        await until_applied(settings)
        await watched.until_silent("ReelsyncConsumerStalled")
        await watched.until_silent("ReelsyncNotReady")
