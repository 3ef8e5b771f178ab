"""`reelsync_lag_records`: the distance to the end of what may be read, of the partitions that are read and no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.app import Consumer
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.integration.test_kafka_features import NO_TRANSACTIONS
from tests.support.builders import an_id, video
from tests.support.running import consuming, eventually, publish, topic_of, until_applied

PARTITIONS = 9


def lags(*consumers: Consumer) -> dict[Partition, float]:
    """What the metric says; each partition of one consumer only."""
    found: dict[Partition, float] = {}
    for consumer in consumers:
        for sample in next(iter(consumer.metrics.lag.collect())).samples:
            partition = Partition(sample.labels["topic"], int(sample.labels["partition"]))
            assert partition not in found
            found[partition] = sample.value
    return found


async def distances(settings: Settings, *consumers: Consumer) -> dict[Partition, int]:
    """From where each partition goes on to its end, by asking the broker."""
    positions = {partition: at for consumer in consumers for partition, at in consumer.source.positions.items()}
    logs = (await KafkaLog(settings.kafka).survey(positions)).whole()
    return {partition: logs[partition].readable - at for partition, at in positions.items()}


async def until_told(settings: Settings, *consumers: Consumer, waiting: bool) -> None:
    """Wait until the metric is the distance of all nine partitions, and records wait or do not."""

    async def told() -> bool:
        said = lags(*consumers)
        return (
            len(said) == PARTITIONS
            and said == await distances(settings, *consumers)
            and bool(sum(said.values())) == waiting
        )

    await eventually(told, f"the lags are told, and records wait: {waiting}")


@asynccontextmanager
async def no_writes(operator_url: str) -> AsyncIterator[None]:
    """Videos cannot be written, so records wait."""
    engine = create_async_engine(operator_url, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE videos IN ACCESS EXCLUSIVE MODE"))
        yield
    await engine.dispose()


async def test_lag_after_rebalances(settings: Settings, operator_url: str) -> None:
    """Two share the partitions, then one has them all; each time more waits than a batch takes."""
    small = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 5})})
    topic = topic_of(settings, "video")
    videos = [(an_id(n).encode(), video("created", n)) for n in range(100)]
    async with consuming(small) as first:
        await until_told(settings, first, waiting=False)
        async with consuming(small) as second:

            async def shared() -> bool:
                reading = [consumer.source.positions.keys() for consumer in (first, second)]
                return all(reading) and len(reading[0] | reading[1]) == len(reading[0]) + len(reading[1]) == PARTITIONS

            await eventually(shared, "both read")
            async with no_writes(operator_url):
                await publish(settings, topic, videos)
                await until_told(settings, first, second, waiting=True)
            await until_told(settings, first, second, waiting=False)
        async with no_writes(operator_url):
            await publish(settings, topic, videos)
            await until_told(settings, first, waiting=True)
        await until_told(settings, first, waiting=False)


@NO_TRANSACTIONS
async def test_control_records_are_no_lag_and_neither_is_an_open_transaction(settings: Settings) -> None:
    """What nobody may read yet is nothing that a consumer could work off."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=settings.kafka.group_id
    )
    await producer.start()
    topic = topic_of(settings, "video")
    async with consuming(settings) as consumer:
        for number in range(6):
            await producer.begin_transaction()
            await producer.send_and_wait(topic, video("created", number), key=an_id(number).encode())
            await (producer.commit_transaction() if number % 2 else producer.abort_transaction())
        await producer.begin_transaction()
        await producer.send_and_wait(topic, video("created", 7), key=an_id(7).encode())
        await until_told(settings, consumer, waiting=False)
        await producer.commit_transaction()
        await until_applied(settings)
        await until_told(settings, consumer, waiting=False)
    await producer.stop()
