"""What only Apache Kafka can show of the end of a log: transactions that are open."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import KafkaSettings
from tests.containers.stack import Stack

pytestmark = pytest.mark.timeout(600)

PARTITION = Partition("open-transactions", 0)


async def test_records_of_an_open_transaction_are_no_work(stack: Stack) -> None:
    servers = f"127.0.0.1:{stack.ports['KAFKA_PORT']}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(PARTITION.topic, 1, 1)])
    await admin.close()
    log = KafkaLog(KafkaSettings.model_validate({"bootstrap_servers": servers}))
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id="open")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(PARTITION.topic, b"one", partition=0)
            assert (await log.survey([PARTITION])).bounds[PARTITION][:3] == (0, 1, 0)
    finally:
        await producer.stop()
    readable = (await log.survey([PARTITION])).bounds[PARTITION].readable
    assert readable == 2, "the record, and the marker of the commit"
