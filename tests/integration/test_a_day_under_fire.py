"""A day of records, two consumers, and kill -9 at random moments: every row as the oracle says, every letter once."""

import asyncio
import random
import signal
from contextlib import ExitStack

import pytest
from aiokafka import AIOKafkaProducer
from processes import process
from running import eventually, rows_of, topic_of, until_applied

from consumer.app import engine_of
from consumer.settings import Settings
from demo.day import TOPICS, DayRecord, generate_day
from demo.verify import verify

KILLS = 6


async def publish_day(settings: Settings, records: list[DayRecord]) -> None:
    topics = {topic: topic_of(settings, aggregate) for aggregate, topic in TOPICS.items()}
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, acks="all", linger_ms=2, max_request_size=2_000_000
    )
    await producer.start()
    try:
        for first in range(0, len(records), 500):
            sends = [
                await producer.send(
                    topics[record.topic],
                    record.value,
                    key=record.key,
                    headers=list(record.headers),
                    timestamp_ms=record.timestamp_ms,
                )
                for record in records[first : first + 500]
            ]
            await asyncio.gather(*sends)
    finally:
        await producer.stop()


async def positions(settings: Settings) -> int:
    return sum(int(str(row["next_offset"])) for row in await rows_of(settings, "consumer_offsets"))


@pytest.mark.parametrize("seed", [11, 12])
async def test_random_kills_of_two_consumers_change_nothing(settings: Settings, seed: int) -> None:
    rng = random.Random(seed)
    day = generate_day(seed, events=6_000)
    await publish_day(settings, day.records)
    busy = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 60})})
    for _ in range(KILLS):
        with ExitStack() as stack:
            pair = [stack.enter_context(process(busy, "-m", "consumer", "run")) for _ in range(2)]
            before = await positions(settings)
            goal = before + rng.randrange(50, 700)

            async def moved(goal: int = goal) -> bool:
                return await positions(settings) >= goal

            await eventually(moved, "the consumers get on")
            for consumer in rng.sample(pair, 2):
                consumer.send_signal(signal.SIGKILL)
                assert consumer.wait() == -signal.SIGKILL
    with process(settings, "-m", "consumer", "run"):
        await until_applied(settings)
    renamed = {topic: topic_of(settings, aggregate) for aggregate, topic in TOPICS.items()}
    published = [record._replace(topic=renamed[record.topic]) for record in day.records]
    engine = engine_of(settings.database)
    async with engine.connect() as connection:
        assert await verify(connection, published) == []
    await engine.dispose()
