"""Permissions of one topic among several that are taken away while it is read, and given back."""

import asyncio
import secrets
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.containers.tls_kafka import PERMISSIONS, USER, TlsKafka, logged_in, tls_kafka
from tests.faults.flowing import flowing
from tests.support.builders import an_id, user, video
from tests.support.http_client import Client, quick, served
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

pytestmark = pytest.mark.timeout(400)
BOTH = "--operation Read --operation Describe"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsKafka]:
    with tls_kafka(tmp_path_factory.mktemp("certificates"), *PERMISSIONS) as started:
        yield started


@pytest.fixture
async def plain(database: str, kafka: TlsKafka) -> Settings:
    """Settings of the operator, with topics that the user may read."""
    topics, group = await kafka.create_topics(), secrets.token_hex(4)
    kafka.change_permissions(f"--add {BOTH} --group {group}")
    for topic in topics:
        kafka.change_permissions(f"--add {BOTH} --topic {topic}")
    connection = {"bootstrap_servers": kafka.address("plain"), "topics": topics, "group_id": group}
    return Settings.model_validate({"kafka": connection, "database": {"url": database}})


async def publish_both(plain: Settings, number: int) -> None:
    """Three videos, one in each partition, and a user."""
    for partition in range(3):
        key = number * 3 + partition
        value = (an_id(key).encode(), video("created", key))
        await publish(plain, topic_of(plain, "video"), [value], partitioner=lambda *_, to=partition: to)
    await publish(plain, topic_of(plain, "user"), [(b"u", user("created", number))])


async def is_halted(client: Client, topic: str) -> bool:
    """Whether the topic, and no other, is halted because the user may not read it."""
    partitions = (await client.status())["partitions"]
    halts = [(p["topic"], p["halted"]["reason"]) for p in partitions if p["halted"]]
    return halts == [(topic, "not_authorized")] * 3


async def others_are_read(plain: Settings) -> bool:
    """Whether the second event of the other topic is applied."""
    return an_id(1002) in {str(row["id"]) for row in await rows_of(plain, "users")}


def assert_named(settings: Settings, topic: str) -> None:
    """Each command names the three partitions, with what to do."""
    for command in (("lag",), ("check",), ("trace", an_id(1)), ("verify",)):
        done = run_command(settings, *command)
        said = done.stdout + done.stderr
        assert done.returncode == (1 if command[0] in {"lag", "check"} else 3), said
        assert all(f"{topic}/{number}" in said for number in range(3)), said
        assert "may not read it" in said
        assert f"--operation Describe --topic {topic}" in said


@pytest.mark.parametrize("taken", ["--operation Read", BOTH], ids=["read", "read and describe"])
async def test_a_topic_that_may_not_be_read_any_more_waits_alone(plain: Settings, kafka: TlsKafka, taken: str) -> None:
    topic = topic_of(plain, "video")
    settings = quick(logged_in(plain, kafka, "sasl", sasl_username=USER, sasl_password=kafka.password))
    with capture_logs() as logged:
        async with served(settings) as (consumer, client):
            await publish_both(plain, 1)
            await until_applied(plain)
            async with flowing(plain, Partition(topic_of(plain, "user"), 1), "user") as flow:
                before = await flow.goes_on()
                await asyncio.to_thread(kafka.change_permissions, f"--remove {taken} --topic {topic}")
                await eventually(lambda: is_halted(client, topic), "the topic is halted")
                longest = max(flow.seconds[before : await flow.goes_on()])
            sys.stdout.write(f"not authorized: {longest:.2f} s, and {max(flow.seconds[1:before]):.2f} s before\n")
            await publish_both(plain, 2)
            await eventually(lambda: others_are_read(plain), "the other topic is read")
            assert await is_halted(client, topic)
            assert len(await rows_of(plain, "videos")) == 3
            sample = f'reelsync_partition_state{{partition="0",state="not_authorized",topic="{topic}"}} 1.0'
            assert sample in (await client.get("/metrics")).text
            (notice,) = [one for one in (await client.status())["notices"] if one["kind"] == "halted"]
            assert "3 partitions halted" in notice["text"]
            assert f"--topic {topic}" in notice["fix"]
            await asyncio.to_thread(assert_named, settings, topic)
            await asyncio.to_thread(kafka.change_permissions, f"--add {BOTH} --topic {topic}")
            await until_applied(plain)
            assert not consumer.source.halted
    assert len(await rows_of(plain, "videos")) == 6
    told = [entry for entry in logged if entry["event"] == "partition.halted"]
    assert {(entry["partition"], entry["reason"]) for entry in told} == {
        (f"{topic}/{number}", "not_authorized") for number in range(3)
    }
    assert (await asyncio.to_thread(run_command, settings, "check")).returncode == 0


@pytest.mark.parametrize("taken", ["--operation Read", BOTH], ids=["read", "read and describe"])
async def test_a_consumer_starts_without_a_topic_that_it_may_not_read_any_more(
    plain: Settings, kafka: TlsKafka, taken: str
) -> None:
    topic = topic_of(plain, "video")
    settings = quick(logged_in(plain, kafka, "sasl", sasl_username=USER, sasl_password=kafka.password))
    await publish_both(plain, 1)
    async with consuming(settings):
        await until_applied(plain)
    await asyncio.to_thread(kafka.change_permissions, f"--remove {taken} --topic {topic}")
    await publish_both(plain, 2)
    async with served(settings) as (consumer, client):
        await eventually(lambda: is_halted(client, topic), "the topic is halted")
        await eventually(lambda: others_are_read(plain), "the other topic is read")
        await asyncio.to_thread(kafka.change_permissions, f"--add {BOTH} --topic {topic}")
        await until_applied(plain)
        assert not consumer.source.halted
