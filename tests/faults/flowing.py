"""Records of one partition, one after another, and how long each takes until its position is stored."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from aiokafka import AIOKafkaProducer

from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.support.builders import user, video
from tests.support.running import eventually

_MORE = 50


@dataclass
class Flow:
    """`seconds`: of each record that was applied, in order."""

    seconds: list[float] = field(default_factory=list)
    sent: int = 0

    @property
    def lost(self) -> int:
        """Records that were not applied; the latest may be on its way."""
        return max(0, self.sent - len(self.seconds) - 1)

    async def goes_on(self) -> int:
        """Wait until more records were applied; returns how many there are now."""
        goal = len(self.seconds) + _MORE

        async def applied() -> bool:
            return len(self.seconds) >= goal

        await eventually(applied, f"{_MORE} more records of the other partition are applied")
        return len(self.seconds)


@asynccontextmanager
async def flowing(settings: Settings, place: Partition, about: str) -> AsyncIterator[Flow]:
    """Publish to the partition during the block, each record once the one before is applied."""
    flow, engine = Flow(), engine_of(settings.database)
    ledger = Ledger(engine, settings.kafka.group_id)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()

    async def publish() -> None:
        for number in count(1_000):
            value = video("created", number) if about == "video" else user("created", number)
            sent = await producer.send_and_wait(place.topic, value, key=b"k", partition=place.number)
            flow.sent += 1
            started = time.monotonic()
            while (await ledger.next_offsets([place])).get(place, 0) <= sent.offset:
                await asyncio.sleep(0.01)
            flow.seconds.append(time.monotonic() - started)

    publishing = asyncio.create_task(publish())
    try:
        yield flow
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await producer.stop()
        await engine.dispose()
