"""Features of Kafka that change what a log holds: transactions, control records, retention, compaction, codecs."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.compaction import compact_eagerly, until_compacted
from tests.support.http_client import quick, served
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

NO_TRANSACTIONS = pytest.mark.apache_kafka(because="has no transactional producers")


@NO_TRANSACTIONS
async def test_aborted_events_are_not_applied_and_control_records_are_passed(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=settings.kafka.group_id
    )
    await producer.start()
    for number in range(30):
        await producer.begin_transaction()
        await producer.send(topic, video("created", number), key=an_id(number).encode())
        await (producer.commit_transaction() if number % 3 else producer.abort_transaction())
    await producer.stop()
    async with consuming(settings):
        await until_applied(settings)
    titles = {row["title"] for row in await rows_of(settings, "videos")}
    assert titles == {f"Video {number}" for number in range(30) if number % 3}


@NO_TRANSACTIONS
async def test_positions_pass_a_log_of_aborted_records_alone(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=settings.kafka.group_id
    )
    await producer.start()
    async with consuming(settings):
        for number in range(5):
            await producer.begin_transaction()
            await producer.send(topic, video("created", number), key=an_id(number).encode())
            await producer.abort_transaction()
        await until_applied(settings)
    await producer.stop()
    assert await rows_of(settings, "videos") == []


@NO_TRANSACTIONS
async def test_an_open_transaction_that_holds_a_partition_back_is_named(settings: Settings) -> None:
    """A producer has left its transaction open after one record; others have published five."""
    topic = topic_of(settings, "video")
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=settings.kafka.group_id
    )
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(topic, video("created", 0), partition=0)
    values = [(an_id(number).encode(), video("created", number)) for number in range(1, 6)]
    await publish(settings, topic, values, partitioner=lambda *_: 0)
    async with served(quick(settings)) as (consumer, client):

        async def is_held_back() -> bool:
            return {p["state"] for p in (await client.status())["partitions"]} == {"reading", "held back"}

        await eventually(is_held_back, "it is told")
        (held,) = [p["held_back"] for p in (await client.status())["partitions"] if p["held_back"]]
        assert (held["first"], held["offsets"]) == (0, 6)
        assert f"abort --topic {topic} --partition 0 --start-offset 0" in held["why"]
        place = {"topic": topic, "partition": "0", "state": "held_back"}
        assert consumer.metrics.registry.get_sample_value("reelsync_partition_state", place) == 1
        for command in ("lag", "check"):
            told = await asyncio.to_thread(run_command, settings, command)
            assert told.returncode == 0, told.stderr
            assert (
                f"{topic}/0 is held back: a producer's transaction that began at offset 0" in told.stdout + told.stderr
            )
        await producer.commit_transaction()

        async def is_read() -> bool:
            return {p["state"] for p in (await client.status())["partitions"]} == {"reading"}

        await eventually(is_read, "it goes on")
        await until_applied(settings)
    await producer.stop()
    assert len(await rows_of(settings, "videos")) == 6


@pytest.mark.apache_kafka(because="deletes no records")
async def test_records_deleted_before_they_were_consumed_halt_the_partition(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(b"one key", video("created", n)) for n in range(10)])
    async with consuming(settings):
        await until_applied(settings)
    await publish(settings, topic, [(b"one key", video("created", n)) for n in range(10, 30)])
    held = next(row for row in await rows_of(settings, "consumer_offsets") if row["next_offset"])
    partition = TopicPartition(topic, held["partition"])
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_records({partition: RecordsToDelete(before_offset=20)})
    await admin.close()
    async with consuming(settings) as consumer:

        async def halted() -> bool:
            return [halt.reason for halt in consumer.source.halted.values()] == ["retention"]

        await eventually(halted, "the partition is halted")
    assert len(await rows_of(settings, "videos")) == 10


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_batches_of_every_codec_are_read(settings: Settings, codec: str) -> None:
    await publish(settings, topic_of(settings, "video"), videos(20), compression_type=codec)
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 20


@pytest.mark.apache_kafka(because="has no idempotent producers")
async def test_an_idempotent_producer_is_read(settings: Settings) -> None:
    await publish(settings, topic_of(settings, "video"), videos(20), enable_idempotence=True)
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 20


@pytest.mark.apache_kafka(because="does not compact")
@pytest.mark.parametrize("already", [0, 3, 10], ids=["before the gap", "inside the gap", "at the end of the gap"])
async def test_a_compacted_log_is_read_from_any_position(settings: Settings, already: int) -> None:
    """Nothing of what was compacted away is missed, and a position inside a gap is no reason to halt."""
    topic = topic_of(settings, "video")
    await compact_eagerly(settings.kafka, topic)
    versions = [(an_id(1).encode(), video("updated", version=n, title=f"Title {n}")) for n in range(1, 11)]
    await publish(settings, topic, versions[:already])
    async with consuming(settings):
        await until_applied(settings)
    await publish(settings, topic, versions[already:])

    async def publish_the_last_again() -> None:
        await publish(settings, topic, versions[-1:])

    await until_compacted(settings.kafka, topic, 9, publish_the_last_again)
    async with consuming(settings) as consumer:
        await until_applied(settings)
        assert not consumer.source.halted
    assert [(row["title"], row["version"]) for row in await rows_of(settings, "videos")] == [("Title 10", 10)]


def videos(count: int) -> list[tuple[bytes, bytes]]:
    return [(an_id(n).encode(), video("created", n)) for n in range(count)]
