"""A topic is deleted, or has fewer partitions than before, while it is consumed."""

import orjson

from reelsync.consumer.app import Consumer
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.services.contract import Broker
from tests.support.builders import an_id, user, video
from tests.support.http_client import Client, quick, served
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.topics import create_again, delete_topic, topic_id


async def fill(settings: Settings, topic: str, partitions: int, first: int) -> None:
    """Five videos for each partition, numbered from `first`."""
    for partition in range(partitions):
        numbers = range(first + 5 * partition, first + 5 * partition + 5)
        values = [(an_id(number).encode(), video("created", number)) for number in numbers]
        await publish(settings, topic, values, partitioner=lambda *_, chosen=partition: chosen)


async def until_asked_again(consumer: Consumer, times: int = 3) -> None:
    """Wait until both servers were asked so often how far the group is."""
    asked = 0
    ask = consumer.monitor.probe.ask

    async def counted() -> None:
        nonlocal asked
        await ask()
        asked += 1

    consumer.monitor.probe.ask = counted

    async def enough() -> bool:
        return asked > times

    await eventually(enough, "the servers are asked")


async def halted(client: Client, reason: str) -> set[int]:
    told = (await client.status())["partitions"]
    return {entry["partition"] for entry in told if entry["halted"] and entry["halted"]["reason"] == reason}


async def test_fewer_partitions_are_ready_after_the_reset(settings: Settings, broker: Broker) -> None:
    topic = topic_of(settings, "video")
    await fill(settings, topic, 3, 0)
    async with served(quick(settings)) as (consumer, client):
        await until_applied(settings)
        await create_again(settings, broker, topic, 1)
        await fill(settings, topic, 1, 100)

        async def is_halted() -> bool:
            return await halted(client, "recreated") == {0}

        await eventually(is_halted, "the partition that is left is halted")
        done = run_command(settings, "offsets", "reset", topic, "--to", "earliest")
        assert done.returncode == 0, done.stderr
        await until_applied(settings)
        assert len(await rows_of(settings, "videos")) == 20
        await eventually(client.answers("/readyz", 200), "it is ready")
        await until_asked_again(consumer)
        assert (await client.get("/readyz")).status == 200
        assert "kafka" not in consumer.health.unreachable

        async def nothing_is_halted() -> bool:
            return not consumer.source.halted

        await eventually(nothing_is_halted, "partitions that are gone do not stay halted")
    shown = run_command(settings, "offsets", "show", "--json")
    gone = {(row["topic"], row["partition"]) for row in orjson.loads(shown.stdout) if row["gone"]}
    assert gone == {(topic, 1), (topic, 2)}
    assert f"{topic}/1, {topic}/2" in shown.stderr


async def test_a_deleted_topic_is_named_and_not_created(settings: Settings) -> None:
    topic, other = topic_of(settings, "video"), topic_of(settings, "user")
    await fill(settings, topic, 3, 0)
    async with served(quick(settings)) as (consumer, client):
        await until_applied(settings)
        await delete_topic(settings, topic)

        async def is_named() -> bool:
            return await halted(client, "deleted") == {0, 1, 2}

        await eventually(is_named, "its partitions are named")

        async def is_read_without_it() -> bool:
            return {p.topic for p in consumer.source.positions} == settings.kafka.topics.keys() - {topic}

        await eventually(is_read_without_it, "the group goes on without it")
        await publish(settings, other, [(an_id(1).encode(), user("created"))])

        async def goes_on() -> bool:
            return any(row["version"] == 1 for row in await rows_of(settings, "users"))

        await eventually(goes_on, "the other topics go on")
        await until_asked_again(consumer)
        assert (await client.get("/readyz")).status == 200
        assert await halted(client, "deleted") == {0, 1, 2}
        (told,) = [notice for notice in (await client.status())["notices"] if notice["kind"] == "halted"]
        assert f"no topic {topic} any more" in told["text"]
        assert await topic_id(settings, topic) is None
        assert Partition(topic, 0) in consumer.source.halted


async def test_a_consumer_starts_without_a_topic_that_was_deleted(settings: Settings) -> None:
    topic, other = topic_of(settings, "video"), topic_of(settings, "user")
    await fill(settings, topic, 3, 0)
    async with consuming(settings):
        await until_applied(settings)
    await delete_topic(settings, topic)
    assert run_command(settings, "check").returncode == 1
    async with served(quick(settings)) as (_, client):
        await publish(settings, other, [(an_id(1).encode(), user("created"))])

        async def goes_on() -> bool:
            return any(row["version"] == 1 for row in await rows_of(settings, "users"))

        await eventually(goes_on, "the other topics are read")

        async def is_named() -> bool:
            return await halted(client, "deleted") == {0, 1, 2}

        await eventually(is_named, "its partitions are named")
