"""Three brokers, of which one dies and returns: leaders and coordinator move, and the consumers with them."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.conn import AIOKafkaConnection

from reelsync.consumer.kafka.protocol import FetchRequestById
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.faults.campaign import Campaign
from tests.faults.cluster.questions import all_in_sync, ask, coordinator, leaders, without_replicas
from tests.faults.outcomes import Outcome
from tests.services.kafka_cluster import KafkaCluster
from tests.support.builders import an_id, video
from tests.support.http_client import quick, served
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

pytestmark = [pytest.mark.containers, pytest.mark.timeout(400)]
Take = Callable[[Outcome], None]


async def test_a_leader_is_killed_and_returns(campaign: Campaign, broker: KafkaCluster, outcomes: Take) -> None:
    topic = topic_of(campaign.settings, "video")
    with campaign.consumer(), campaign.consumer():
        await campaign.apply(50)
        before = await leaders(broker, topic)
        victim = before[0]
        async with campaign.flow(600):
            await campaign.progress(20)
            broker.kill(victim)
        await campaign.recover()
        after = await leaders(broker, topic)
        assert victim not in after.values(), "leadership did not move"
        broker.restart(victim)
        await all_in_sync(broker, campaign.settings.kafka.topics)
        await campaign.apply(200)
    outcomes(await campaign.judge("leader of three brokers killed", len(before.items() - after.items())))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """The bytes of answers to fetches, by the port of the broker."""
    counted: Counter[int] = Counter()
    handle = AIOKafkaConnection._handle_frame

    def counting(self: AIOKafkaConnection, answer: bytes) -> None:
        _, request, _ = self._requests[0]
        if request is not None and request.API_KEY == FetchRequestById.API_KEY:
            counted[self.port] += len(answer)
        handle(self, answer)

    monkeypatch.setattr(AIOKafkaConnection, "_handle_frame", counting)
    return counted


async def test_records_come_from_the_nearest_replica_until_it_dies(
    settings: Settings, broker: KafkaCluster, fetched: Counter[int]
) -> None:
    topic, near = topic_of(settings, "video"), broker.port(2)
    near_by = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"client_rack": "rack-2"})})

    async def publish_from(first: int) -> None:
        numbers = range(first, first + 6000)
        await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in numbers])

    assert set((await leaders(broker, topic)).values()) != {2}, "the others lead nothing"
    async with consuming(near_by):
        await publish_from(0)
        await until_applied(settings)
        share = fetched[near] / fetched.total()
        sys.stdout.write(f"{share:.2%} of {fetched.total():,} bytes\n")
        assert share >= 0.95, fetched
        broker.kill(2)
        await publish_from(6000)
        await until_applied(settings)
        broker.restart(2)
        await all_in_sync(broker, settings.kafka.topics)
        before = fetched[near]
        await publish_from(12_000)
        await until_applied(settings)

        async def near_again() -> bool:
            return fetched[near] > before

        await eventually(near_again, "the nearest replica is read again")
    assert len(await rows_of(settings, "videos")) == 18_000


async def test_the_coordinator_of_the_group_is_killed(campaign: Campaign, broker: KafkaCluster, outcomes: Take) -> None:
    group = campaign.settings.kafka.group_id
    with campaign.consumer(), campaign.consumer():
        await campaign.apply(50)
        victim = await coordinator(broker, group)
        async with campaign.flow(600):
            await campaign.progress(20)
            broker.kill(victim)
        await campaign.recover()

        async def moved() -> bool:
            return await coordinator(broker, group) != victim

        await eventually(moved, "another broker coordinates")
        broker.restart(victim)
        await all_in_sync(broker, campaign.settings.kafka.topics)
        await campaign.apply(200)
    outcomes(await campaign.judge("coordinator of the group killed", 1))


async def test_a_partition_is_added(campaign: Campaign, broker: KafkaCluster, outcomes: Take) -> None:
    topic = topic_of(campaign.settings, "video")
    with campaign.consumer(), campaign.consumer():
        await campaign.apply(300)
        await ask(broker, lambda admin: admin.create_partitions({topic: NewPartitions(6)}))

        async def served() -> bool:
            return len(await leaders(broker, topic)) == 6

        await eventually(served, "the partitions are there")
        await campaign.publish(600)
        added = [partition for partition in campaign.ends if partition.topic == topic and partition.number > 2]
        assert Partition(topic, 3) in added, "no record went to a new partition"
        await campaign.recover()
    outcomes(await campaign.judge("partitions added", len(added)))


async def test_partitions_whose_only_broker_is_gone_wait_alone(settings: Settings, broker: KafkaCluster) -> None:
    """Found so at the start of a consumer. Those that are led by others are read, and each is named."""
    topic = topic_of(settings, "video")
    led = await without_replicas(broker, topic)
    (gone,) = [number for number, leader in led.items() if leader == 2]
    broker.kill(2)
    try:
        await publish_to(settings, topic, set(led) - {gone})
        async with served(quick(settings)) as (consumer, client):

            async def others_are_read() -> bool:
                return len(await rows_of(settings, "videos")) == 2

            await eventually(others_are_read, "the others are read")
            (told,) = [p for p in (await client.status())["partitions"] if p["halted"]]
            assert (told["topic"], told["partition"], told["state"]) == (topic, gone, "waiting for its broker")
            assert (await client.get("/readyz")).status == 200
            for command in (("lag",), ("check",), ("trace", an_id(1))):
                done = await asyncio.to_thread(run_command, settings, *command)
                assert done.returncode == (3 if "trace" in command else 1)
                assert f"{topic}/{gone} has no leader" in done.stdout + done.stderr
            broker.restart(2)

            async def goes_on() -> bool:
                return not consumer.source.halted

            await eventually(goes_on, "it goes on by itself")
            await publish_to(settings, topic, {gone})
            await until_applied(settings)
        assert len(await rows_of(settings, "videos")) == 3
    finally:
        broker.restart(2)


async def publish_to(settings: Settings, topic: str, partitions: Iterable[int]) -> None:
    """A video for each of the partitions."""
    for number in partitions:
        value = (an_id(number).encode(), video("created", number))
        await publish(settings, topic, [value], partitioner=lambda *_, chosen=number: chosen)
