"""What /livez and /readyz say while servers are away, a client falls silent, and the event loop is blocked."""

import asyncio
import signal
import threading
import time
import urllib.error
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka import TopicPartition

from reelsync.consumer.app import Consumer
from reelsync.consumer.kafka.clients import Member
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import ServiceError, free_port
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.services.contract import Broker
from tests.support.builders import an_id, video
from tests.support.http_client import PATIENCE, Client, quick, served
from tests.support.processes import process
from tests.support.running import eventually, publish, topic_of, until_applied


async def test_an_outage_of_the_database_is_not_ready_but_live(settings: Settings, postgres: EmbeddedPostgres) -> None:
    """For longer than the patience of /livez: a restart would help nobody."""
    topic = topic_of(settings, "video")
    async with served(quick(settings)) as (_, client):
        await eventually(client.answers("/readyz", 200), "ready")
        postgres.shut_down("immediate")
        try:
            await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(20)])

            async def waited_out() -> bool:
                assert (await client.get("/livez")).status == 200
                waiting = [off for off in (await client.status())["backing_off"] if off["activity"] == "write"]
                return any(off["outage"] and off["for_seconds"] > 2 * PATIENCE for off in waiting)

            await eventually(waited_out, "an outage twice as long as the patience")
            answer = await client.get("/readyz")
            assert answer.status == 503
            assert any(reason.startswith("postgresql does not answer") for reason in answer.json["reasons"])
            assert any("write waits out an outage" in reason for reason in answer.json["reasons"])
        finally:
            postgres.start()
        await eventually(client.answers("/readyz", 200), "ready again")
        await until_applied(settings)
        assert (await client.get("/livez")).status == 200
        assert (await client.status())["backing_off"] == []


@asynccontextmanager
async def bringing_nothing() -> AsyncIterator[None]:
    """In the block, the client of Kafka is asked for records and has none, although there are some.

    So does the client that takes its place: on a machine that is short of time, the group may be formed again.
    """
    asked = asyncio.Event()

    async def nothing(_member: Member, *_partitions: TopicPartition, timeout_ms: int, max_records: int) -> Any:
        assert max_records
        asked.set()
        await asyncio.sleep(timeout_ms / 1000)  # as long as a poll that finds nothing
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Member, "getmany", nothing)
        # The question before may still be under way, and would bring what is published now.
        await asked.wait()
        yield


def lags(client: Client, records: int) -> Callable[[], Awaitable[bool]]:
    async def behind() -> bool:
        return bool((await client.status())["lag"] == records)

    return behind


async def stays_live_beyond_its_patience(consumer: Consumer, client: Client) -> None:
    """Wait until the outage that has just begun is twice as long as the patience of /livez, which holds meanwhile."""
    began = consumer.health.clock()

    async def waited_out() -> bool:
        assert (await client.get("/livez")).status == 200
        return consumer.health.clock() - began > 2 * PATIENCE

    await eventually(waited_out, "an outage twice as long as the patience")


async def test_an_outage_of_the_broker_is_not_ready_but_live(settings: Settings, broker: Broker) -> None:
    """The broker takes connections and answers nothing, while records are known to wait."""
    topic = topic_of(settings, "video")
    async with served(quick(settings)) as (consumer, client):
        await eventually(client.answers("/readyz", 200), "ready")
        async with bringing_nothing():
            await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(20)])
            await eventually(lags(client, 20), "records wait")
            with broker.frozen():
                await eventually(client.answers("/readyz", 503), "not ready")
                await stays_live_beyond_its_patience(consumer, client)
                reasons = (await client.get("/readyz")).json["reasons"]
                assert any(reason.startswith("kafka does not answer") for reason in reasons)
        await eventually(client.answers("/readyz", 200), "ready again")
        await until_applied(settings)


async def test_a_broker_that_is_gone_is_asked_until_it_is_back(settings: Settings) -> None:
    with EmbeddedBroker() as own:
        await own.create_topics(dict.fromkeys(settings.kafka.topics, 3))
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": own.bootstrap_servers})
        async with served(quick(settings.model_copy(update={"kafka": kafka}))) as (consumer, client):
            await eventually(client.answers("/readyz", 200), "ready")
            own.stop()
            await eventually(client.answers("/readyz", 503), "not ready")
            await stays_live_beyond_its_patience(consumer, client)
            own.start()
            with suppress(ServiceError):  # the consumer may have had one made already, by asking for it
                await own.create_topics(dict.fromkeys(settings.kafka.topics, 3))
            await eventually(client.answers("/readyz", 200), "ready again")
            assert [server["reachable"] for server in (await client.status())["servers"]] == [True, True]


async def test_a_consumer_that_went_silent_is_not_live(settings: Settings) -> None:
    """Its fetcher brings nothing and raises nothing, as aiokafka has been seen to do: nobody inside would notice."""
    topic = topic_of(settings, "video")
    async with served(quick(settings)) as (_, client):
        await eventually(client.answers("/readyz", 200), "ready")
        async with bringing_nothing():
            await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(20)])
            told: list[str] = []

            async def is_stuck() -> bool:
                told[:] = (await client.get("/livez")).json["reasons"]
                return bool(told)

            await eventually(is_stuck, "it is seen to be stuck")
            assert [reason.partition(" for ")[0] for reason in told] == ["no progress"]
            await eventually(lags(client, 20), "the lag is told")
        await eventually(client.answers("/livez", 200), "it goes on")
        await until_applied(settings)


async def test_with_nothing_to_do_it_is_live(settings: Settings) -> None:
    async with served(quick(settings)) as (consumer, client):
        await eventually(client.answers("/readyz", 200), "ready")
        began = consumer.health.clock()

        async def idle_for_long() -> bool:
            assert (await client.get("/livez")).status == 200
            return consumer.health.clock() - began > 2 * PATIENCE

        await eventually(idle_for_long, "twice the patience")


async def test_a_blocked_loop_answers_nothing_and_says_so_afterwards(settings: Settings) -> None:
    async with served(quick(settings, blocked_seconds=0.5)) as (_, client):
        await eventually(client.answers("/livez", 200), "live")
        gave_up = threading.Event()

        def probe() -> bool:
            """As an orchestrator does: the probe's own timeout is what tells."""
            try:
                client.ask("/livez", timeout=1.5)
            except TimeoutError:
                return True
            finally:
                gave_up.set()
            return False

        with_timeout = asyncio.get_running_loop().run_in_executor(None, probe)
        gave_up.wait()
        assert await with_timeout
        answer = await client.get("/livez")
        assert answer.status == 503
        assert "the event loop was blocked" in answer.json["reasons"][0]


async def test_a_process_that_was_stopped_and_woken_is_live(settings: Settings) -> None:
    """For longer than the loop may be blocked, and than the patience of /livez."""
    impatient = {"port": free_port(), "blocked_seconds": 2.0}
    chosen = quick(settings, **impatient)
    client = Client(chosen.http.port)
    with process(chosen, "-m", "reelsync.consumer", "run", REELSYNC_LOG__FORMAT="json") as consumer:

        async def ready() -> bool:
            with suppress(urllib.error.URLError):
                return (await client.get("/readyz")).status == 200
            return False

        await eventually(ready, "it consumes")
        consumer.send_signal(signal.SIGSTOP)
        began = time.monotonic()

        async def was_stopped() -> bool:
            return time.monotonic() - began > 2 * PATIENCE

        await eventually(was_stopped, "the stop lasts")
        with pytest.raises(TimeoutError):
            client.ask("/livez", timeout=0.2)
        consumer.send_signal(signal.SIGCONT)
        for _ in range(20):
            assert (await client.get("/livez")).json == {"ok": True, "reasons": []}
        await eventually(ready, "it consumes again")
