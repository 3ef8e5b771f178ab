"""A topic is created again at random moments while records flow: what a position says is covered was applied."""

import asyncio
import random
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.faults.campaign import LONG, SEEDS
from tests.faults.consumer_process import ConsumerProcess
from tests.services.contract import Broker
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.roles import SCHEMA
from tests.support.running import eventually, rows_of, topic_of
from tests.support.topics import create_again, topic_id

PARTITIONS, MEMBERS = 3, 3
_BURST = 50
CREATIONS = 12 if LONG else 4

# A position says which topic it is of, so each stretch that a transaction covers is one of a topic.
COVERAGE = (
    "CREATE TABLE coverage (topic_id text, partition int, first bigint, next bigint)",
    f"""
    CREATE FUNCTION cover() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO {SCHEMA}.coverage VALUES (NEW.topic_id, NEW.partition, OLD.next_offset, NEW.next_offset);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER cover AFTER UPDATE OF next_offset ON consumer_offsets
        FOR EACH ROW WHEN (OLD.next_offset < NEW.next_offset) EXECUTE FUNCTION cover()
    """,
)


@dataclass
class Flow:
    """What was published: the video that each offset of each topic creates, by the topic's id and the partition."""

    settings: Settings
    topic: str
    videos: dict[tuple[str | None, int], dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    count: int = 0

    async def publish(self, count: int) -> None:
        """So many records more, in bursts: consumers are behind at the end, or not."""
        current = await topic_id(self.settings, self.topic)
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka.bootstrap_servers, acks="all")
        async with producer:
            for first in range(0, count, _BURST):
                await asyncio.gather(*(self._send(producer, current) for _ in range(min(_BURST, count - first))))

    async def _send(self, producer: AIOKafkaProducer, current: str | None) -> None:
        self.count += 1
        key, value, partition = an_id(self.count), video("created", self.count), self.count % PARTITIONS
        at = await producer.send_and_wait(self.topic, value, key=key.encode(), partition=partition)
        self.videos[current, partition][at.offset] = key


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_covered_was_applied(
    settings: Settings, broker: Broker, operator: AsyncConnection, tmp_path: Path, seed: int
) -> None:
    rng, topic = random.Random(seed), topic_of(settings, "video")
    for statement in COVERAGE:
        await operator.execute(text(statement))
    settings = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 20})})
    flow, ids = Flow(settings, topic), [await topic_id(settings, topic)]
    with ExitStack() as stack:
        logs = [tmp_path / f"consumer-{number}.log" for number in range(MEMBERS)]
        processes = [ConsumerProcess(settings, log) for log in logs]
        for process in processes:
            stack.callback(process.end)
        for _ in range(CREATIONS):
            await flow.publish(rng.randrange(20, 1_000))
            await create_again(settings, broker, topic, PARTITIONS)
            ids.append(await topic_id(settings, topic))
            await flow.publish(rng.randrange(100, 500))
            said = "\n".join(process.said() for process in processes)
            await eventually(lambda: is_seen(operator, topic, ids[-1], processes), f"it is seen: {said}", 90)
            done = run_command(settings, "offsets", "reset", topic, "--to", "earliest", "--force")
            assert done.returncode == 0, done.stderr
            await eventually(lambda: is_covered(operator, flow, ids[-1]), "the new topic is covered", 90)
    await judge(operator, flow, settings)
    assert len(set(ids)) == CREATIONS + 1


async def is_seen(operator: AsyncConnection, topic: str, current: str | None, processes: list[ConsumerProcess]) -> bool:
    """Whether each partition either halted for the present topic, or is of it by itself: nothing was taken before."""
    whys = "".join(
        f"{halt['partition']} {halt['why']}"
        for process in processes
        for halt in process.lines("partition.halted", "recreated")
        if current and current in halt["why"]
    )
    query = text("SELECT partition, topic_id FROM consumer_offsets WHERE topic = :topic")
    rows = {row.partition: row.topic_id for row in await operator.execute(query, {"topic": topic})}
    return len(rows) == PARTITIONS and all(
        stored == current or f"{topic}/{partition} " in whys for partition, stored in rows.items()
    )


async def is_covered(operator: AsyncConnection, flow: Flow, current: str | None) -> bool:
    query = text("SELECT partition, next_offset, topic_id FROM consumer_offsets WHERE topic = :topic")
    at = {
        (row.topic_id, row.partition): row.next_offset for row in await operator.execute(query, {"topic": flow.topic})
    }
    return all(
        at.get((current, partition), -1) == len(flow.videos[current, partition]) for partition in range(PARTITIONS)
    )


async def judge(operator: AsyncConnection, flow: Flow, settings: Settings) -> None:
    """Each topic's stretches begin at its begin and follow each other, and every record inside them has its row."""
    covered = defaultdict(list)
    rows = await operator.execute(text("SELECT * FROM coverage"))
    for row in rows:
        if row.topic_id in {topic for topic, _ in flow.videos}:
            covered[row.topic_id, row.partition].append((row.first, row.next))
    applied = {str(row["id"]) for row in await rows_of(settings, "videos") if row["version"]}
    assert covered
    for place, stretches in covered.items():
        reached = 0
        for first, following in sorted(stretches):
            assert first <= reached, f"{place}: {reached} to {first} is covered by nobody"
            reached = max(reached, following)
        lost = [offset for offset in range(reached) if flow.videos[place][offset] not in applied]
        assert not lost, f"{place}: covered and not applied: {lost}"
