"""Partitions with a backlog are read in turns, and those without do not wait for them."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from reelsync.consumer.kafka import clients
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from reelsync.consumer.source import batching
from reelsync.consumer.source.batching import Turns
from tests.support.builders import an_id, video
from tests.support.running import consuming, eventually, rows_of, topic_of, until_applied

BACKLOG = 900


@pytest.fixture
def _small_fetches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """About 40 records in each, so that a backlog needs many."""
    monkeypatch.setattr(batching, "BACKLOG_RECORDS", 100)
    monkeypatch.setattr(clients, "_FETCH_BYTES", 16_000)
    monkeypatch.setattr(clients, "_PARTITION_FETCH_BYTES", 12_000)
    return


async def fill(settings: Settings, partition: Partition, first: int, count: int) -> None:
    """Publish events of so many videos to one partition, in small batches."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, max_batch_size=4_000)
    await producer.start()
    for number in range(first, first + count):
        key, value = an_id(number).encode(), video("created", number)
        await producer.send(partition.topic, value, key=key, partition=partition.number)
    await producer.stop()


async def stretches(settings: Settings, backlogs: dict[Partition, int]) -> list[Partition]:
    """Consume all; the partitions in the order in which they were read, each stretch once."""
    found: list[Partition] = []
    async with consuming(settings) as consumer:

        def observe(batch, _written) -> None:
            for record in batch.records:
                partition = Partition(record.topic, record.partition)
                found.extend([partition] if found[-1:] != [partition] else [])

        consumer.observe = observe
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == sum(backlogs.values())
    return found


@pytest.mark.parametrize("in_turns", [True, False])
@pytest.mark.usefixtures("_small_fetches")
async def test_a_partition_with_a_backlog_is_read_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *, in_turns: bool
) -> None:
    """Without the rule, partitions alternate with every fetch."""
    if not in_turns:
        monkeypatch.setattr(Turns, "choose", lambda _self, reading, _lags, _now: list(reading))
    backlogs = {Partition(topic_of(settings, "video"), number): BACKLOG for number in range(3)}
    for partition in backlogs:
        await fill(settings, partition, partition.number * BACKLOG, BACKLOG)
    found = await stretches(settings, backlogs)
    assert set(found) == set(backlogs)
    assert (len(found) <= 4 * len(backlogs)) == in_turns, [partition.number for partition in found]


@pytest.mark.usefixtures("_small_fetches")
async def test_one_with_little_to_read_does_not_wait_for_a_backlog(settings: Settings, operator_url: str) -> None:
    busy, calm = (Partition(topic_of(settings, "video"), number) for number in range(2))
    small = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 200})})
    order: list[Partition] = []
    await fill(settings, busy, 0, 3 * BACKLOG)
    engine = create_async_engine(operator_url, poolclass=NullPool)
    async with consuming(small) as consumer:
        consumer.observe = lambda batch, _written: order.extend(batch.spans)
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE videos IN ACCESS EXCLUSIVE MODE"))

            async def reading() -> bool:
                return consumer.source.lags().get(busy, 0) > BACKLOG

            await eventually(reading, "it knows of the backlog")
            await fill(settings, calm, 3 * BACKLOG, 3)
        await until_applied(settings)
    await engine.dispose()
    assert order.index(calm) < len(order) - 1 - order[::-1].index(busy) - 5, "batches of the backlog came after it"
