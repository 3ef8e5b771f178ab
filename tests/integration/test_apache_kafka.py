"""What only Apache Kafka can show: transactions, control records, records deleted by retention."""

import os

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from builders import an_id, video
from running import consuming, eventually, publish, rows_of, topic_of, until_applied

from consumer.settings import Settings

pytestmark = pytest.mark.skipif(
    "TEST_BOOTSTRAP_SERVERS" not in os.environ,
    reason="the embedded broker has no transactions and deletes no records: set TEST_BOOTSTRAP_SERVERS to a Kafka",
)


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
async def test_idempotent_producers_of_every_codec_are_read(settings: Settings, codec: str) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, compression_type=codec, enable_idempotence=True
    )
    await producer.start()
    for number in range(20):
        await producer.send(topic_of(settings, "video"), video("created", number), key=an_id(number).encode())
    await producer.stop()
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 20
