"""Waits on a primary and on a standby, while the consumer is killed at random: no `applied` without its row.

FAULTS=long makes it 10,000 waits. `make test` runs a short form.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from aiokafka import AIOKafkaProducer
from sqlalchemy import make_url, select

from reelsync.consumer.settings import Settings
from reelsync.events.publishing import AIOKAFKA_OPTIONS
from reelsync.models import Outcome, SessionFactory, Video, create_engine, create_session_factory, get_session
from reelsync.models.waiting import wait_until_applied
from tests.faults.campaign import LONG
from tests.faults.consumer_process import ConsumerProcess
from tests.support.builders import an_id, video
from tests.support.roles import roles_of
from tests.support.running import eventually, topic_of
from tests.support.standby import following

WAITS, KILLS = (10_000, 30) if LONG else (200, 1)
PUBLISHERS = 16
SECONDS = 120.0
POISON = Outcome("dead letter", "not_json")


@dataclass
class Waits:
    """Publishers that wait for each record before they send the next one."""

    settings: Settings
    producer: AIOKafkaProducer
    readers: dict[str, SessionFactory]
    """By the name of the server."""
    rng: random.Random
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    pending: int = 0

    async def publish(self, publisher: int) -> None:
        version = 0
        while self.outcomes.total() + self.pending < WAITS:
            self.pending += 1
            version += 1
            await self._wait(publisher, version)
            self.pending -= 1

    async def _wait(self, publisher: int, version: int) -> None:
        is_poison = self.rng.random() < 0.1
        value = b"poison" if is_poison else video("progressed", publisher, version, progress=version % 100)
        sent = await self.producer.send_and_wait(topic_of(self.settings, "video"), value, key=b"%d" % publisher)
        server, sessions = self.rng.choice(list(self.readers.items()))
        async with get_session(sessions) as session:
            group = self.settings.kafka.group_id
            outcome = await wait_until_applied(session, sent, timeout=SECONDS, group=group)
            held = await session.scalar(select(Video.version).where(Video.id == UUID(an_id(publisher)))) or 0
        self.outcomes[server, outcome.state] += 1
        if outcome == POISON if is_poison else outcome and held >= version:
            return
        self.false.append(f"{sent}: {outcome} on the {server}, where version {held} is, of {version}")


@asynccontextmanager
async def reading(**urls: str) -> AsyncIterator[dict[str, SessionFactory]]:
    """Sessions in the role that may only read, on each server."""
    engines = {
        server: create_engine(roles_of(url, database=str(make_url(url).database)).read_url)
        for server, url in urls.items()
    }
    yield {server: create_session_factory(engine) for server, engine in engines.items()}
    for engine in engines.values():
        await engine.dispose()


async def test_no_wait_is_answered_falsely(settings: Settings, operator_url: str, tmp_path: Path) -> None:
    servers, rng = settings.kafka.bootstrap_servers, random.Random(18)
    async with (
        AIOKafkaProducer(bootstrap_servers=servers, **AIOKAFKA_OPTIONS) as producer,
        following(operator_url) as standby,
        reading(primary=operator_url, standby=standby) as readers,
    ):
        waits = Waits(settings, producer, readers, rng)
        consumer = ConsumerProcess(settings, tmp_path / "consumer-0.log")
        try:
            publishers = [asyncio.create_task(waits.publish(number)) for number in range(1, PUBLISHERS + 1)]
            for number, goal in enumerate(sorted(rng.sample(range(WAITS - PUBLISHERS), KILLS)), start=1):

                async def reached() -> bool:
                    return waits.outcomes.total() >= goal  # noqa: B023

                await eventually(reached, f"{goal} waits are over: {consumer.said()}", SECONDS)
                assert waits.pending == PUBLISHERS
                consumer.kill()
                consumer = ConsumerProcess(settings, tmp_path / f"consumer-{number}.log")
            await asyncio.gather(*publishers)
        finally:
            consumer.end()
    assert waits.false == []
    assert waits.outcomes.total() == WAITS
    assert {state for _, state in waits.outcomes} == {"applied", "dead letter"}
    assert {server for server, _ in waits.outcomes} == {"primary", "standby"}
