"""Consumers come and go: positions in PostgreSQL decide, nothing is lost and nothing is applied twice."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from sqlalchemy import text

from reelsync.consumer.app import Consumer
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.processes import process
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

RECORDS = 3_000
PARTITIONS = 9
"""Of all topics of a test."""


def poison_and_videos(first: int, count: int) -> list[tuple[bytes, bytes]]:
    """Half videos, half poison: rows show what was lost, attempts what was doubled."""
    return [(an_id(n).encode(), video("created", n) if n % 2 else b"poison") for n in range(first, first + count)]


async def assert_each_applied_once(settings: Settings, records: int) -> None:
    letters = await rows_of(settings, "dead_letters")
    assert len(letters) == records // 2
    assert {letter["attempts"] for letter in letters} == {1}
    assert len(await rows_of(settings, "videos")) == records // 2


async def test_a_restart_goes_on_where_the_last_one_stopped(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    for round_number in range(3):
        await publish(settings, topic, poison_and_videos(round_number * 100, 100))
        async with consuming(settings):
            await until_applied(settings)
    await assert_each_applied_once(settings, 300)


async def test_kafka_is_told_of_every_position(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, poison_and_videos(0, 200))
    async with consuming(settings):
        await until_applied(settings)
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers, group_id=settings.kafka.group_id, enable_auto_commit=False
    )
    partitions = [TopicPartition(topic, number) for number in range(3)]
    reader.assign(partitions)
    await reader.start()
    stored = {
        row["partition"]: row["next_offset"]
        for row in await rows_of(settings, "consumer_offsets")
        if row["topic"] == topic
    }
    assert {tp.partition: await reader.committed(tp) for tp in partitions} == stored
    await reader.stop()


@pytest.mark.apache_kafka(because="forms a group twice when a member joins")
async def test_a_member_that_joins_costs_a_busy_one_a_single_rebalance(settings: Settings) -> None:
    """A commit to Kafka that is sent while the group forms is refused for its old generation, and aiokafka rejoins."""
    patient = settings.kafka.model_copy(update={"session_timeout_ms": 8_000})
    settings = settings.model_copy(update={"kafka": patient})
    topic, done = topic_of(settings, "video"), asyncio.Event()

    async def keep_busy() -> int:
        count = 0
        while not done.is_set():
            await publish(settings, topic, poison_and_videos(count, 20))
            count += 20
        return count

    async with slow_member(settings), consuming(settings) as busy:

        async def shares(member: Consumer = busy) -> bool:
            return busy.source.settled and 0 < len(member.source.positions) < PARTITIONS

        await eventually(shares, "both have partitions")
        before = rebalances(busy)
        publishing = asyncio.create_task(keep_busy())
        async with consuming(settings) as other:
            await eventually(partial(shares, other), "all three have partitions")
            assert rebalances(busy) - before == 1
        done.set()
        records = await publishing
    async with consuming(settings):
        await until_applied(settings)
    await assert_each_applied_once(settings, records)


@asynccontextmanager
async def slow_member(settings: Settings) -> AsyncIterator[None]:
    """A member of the group that notices late, at its heartbeat, that another wants to join."""
    member = AIOKafkaConsumer(
        *settings.kafka.topics,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        group_id=settings.kafka.group_id,
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
        heartbeat_interval_ms=2_000,
        session_timeout_ms=settings.kafka.session_timeout_ms,
    )
    await member.start()
    try:
        yield
    finally:
        await member.stop()


def rebalances(consumer: Consumer) -> float:
    return consumer.metrics.registry.get_sample_value("reelsync_rebalances_total") or 0.0


async def test_two_consumers_share_the_partitions_and_double_nothing(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    async with consuming(settings) as first, consuming(settings) as second:

        async def shared() -> bool:
            return bool(first.source.positions) and bool(second.source.positions)

        await eventually(shared, "both have partitions")
        assert not set(first.source.positions) & set(second.source.positions)
        await publish(settings, topic, poison_and_videos(0, RECORDS))
        await until_applied(settings)
    await assert_each_applied_once(settings, RECORDS)


async def test_a_consumer_that_joins_and_leaves_in_full_flow_loses_nothing(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    busy = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 50})})
    async with consuming(busy):
        await publish(settings, topic, poison_and_videos(0, RECORDS))
        for _ in range(3):
            async with consuming(busy) as guest:

                async def has_joined(guest: object = guest) -> bool:
                    return bool(guest.source.positions)

                await eventually(has_joined, "the guest has partitions")
        await until_applied(settings)
    await assert_each_applied_once(settings, RECORDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_cleanly_and_loses_nothing(settings: Settings, number: signal.Signals) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, poison_and_videos(0, RECORDS))
    slow = settings.model_copy(update={"batch": settings.batch.model_copy(update={"max_records": 20})})
    with process(slow, "-m", "reelsync.consumer", "run") as running:
        engine = engine_of(settings.database)

        async def under_way() -> bool:
            async with engine.connect() as connection:
                return bool(await connection.scalar(text("SELECT count(*) FROM dead_letters")))

        await eventually(under_way, "the first batch is committed")
        await engine.dispose()
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 0, said
        assert "consumer.stopped" in said
    async with consuming(settings):
        await until_applied(settings)
    await assert_each_applied_once(settings, RECORDS)
