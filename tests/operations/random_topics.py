"""A random log, published: late and doubled events, and poison."""

import random

from aiokafka import AIOKafkaProducer

from reelsync.consumer.settings import Settings
from tests.support.builders import record
from tests.support.random_logs import random_log
from tests.support.running import topic_of


async def publish_log(settings: Settings, seed: int, events: int = 400) -> None:
    """Publish it, each record keyed as its aggregate or not at all."""
    rng = random.Random(seed)
    log = random_log(seed, events=events)
    log += rng.sample(log, len(log) // 5) + [record(b"poison", topic="user-events", key=b"x")] * 3
    rng.shuffle(log)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    for sent in log:
        about = sent.topic.removesuffix("-events").replace("-", "_")
        await producer.send(topic_of(settings, about), sent.value, key=sent.key, timestamp_ms=sent.timestamp)
    await producer.stop()
