"""Brokers of a cluster do not reach each other, or clients do not reach one of them, while records flow."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest
from aiokafka.partitioner import DefaultPartitioner

from demo.day import DayRecord
from reelsync.consumer.records import Partition
from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.cluster.questions import ALL, all_in_sync, coordinator, leaders, without_replicas
from tests.faults.outcomes import Outcome
from tests.faults.proxy import TcpProxy
from tests.services.kafka_cluster import KafkaCluster
from tests.support.running import eventually, topic_of

pytestmark = pytest.mark.containers
Take = Callable[[Outcome], None]


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[int, TcpProxy]]:
    """Before each broker."""
    with ExitStack() as stack:
        yield {number: stack.enter_context(TcpProxy()) for number in ALL}


@pytest.fixture(scope="module")
def reelsync_broker(proxies: dict[int, TcpProxy]) -> Iterator[KafkaCluster]:
    with KafkaCluster({number: proxy.port for number, proxy in proxies.items()}) as cluster:
        for number, proxy in proxies.items():
            proxy.target = ("127.0.0.1", cluster.port(number))
        yield cluster


async def led_by(campaign: Campaign, broker: KafkaCluster, number: int) -> set[Partition]:
    """The partitions that a broker leads, as the cluster says."""
    return {
        Partition(topic, partition)
        for topic in campaign.settings.kafka.topics
        for partition, leader in (await leaders(broker, topic)).items()
        if leader == number
    }


def goes_elsewhere(avoided: set[Partition]) -> Callable[[DayRecord], bool]:
    """Whether a record goes to none of these partitions, of topics that have three each."""

    def chosen(record: DayRecord) -> bool:
        number = DefaultPartitioner()(record.key, [0, 1, 2], [0, 1, 2])
        return record.key is not None and Partition(record.topic, number) not in avoided

    return chosen


@pytest.mark.parametrize("victim", ["a leader", "the active controller"])
async def test_a_broker_is_cut_off_from_the_others(
    campaign: Campaign, broker: KafkaCluster, outcomes: Take, victim: str
) -> None:
    """It still believes that it leads, and consumers still reach it. The others elect new leaders."""
    moved = 0
    with campaign.consumer() as first, campaign.consumer() as second:
        for _ in range(FEW_ROUNDS):
            await campaign.apply(50)
            controller = broker.leads_the_cluster()
            chosen = controller if victim != "a leader" else campaign.rng.choice(sorted(ALL - {controller}))

            async def leads(chosen: int = chosen) -> bool:
                of_the_cluster = victim != "a leader" and broker.leads_the_cluster() == chosen
                return of_the_cluster or bool(await led_by(campaign, broker, chosen))

            await eventually(leads, "it leads something")
            async with campaign.flow(400):
                await campaign.progress(20)
                with broker.cut_off(chosen):

                    async def is_replaced(leads: Callable[[], Awaitable[bool]] = leads) -> bool:
                        return not await leads()

                    await eventually(is_replaced, "the others elect leaders")
                    moved += 1
            await campaign.recover()
            await all_in_sync(broker, campaign.settings.kafka.topics)
        assert (first.exit_code, second.exit_code) == (None, None)
    outcomes(await campaign.judge(f"network: {victim} cut off from the other brokers", moved))


async def test_clients_do_not_reach_a_broker(
    campaign: Campaign, broker: KafkaCluster, proxies: dict[int, TcpProxy], outcomes: Take
) -> None:
    """It leads on, so its partitions wait. Those of the others are read meanwhile."""
    campaign.producer_options["request_timeout_ms"] = 3_000  # it asks that broker, too
    swallowed = 0
    with campaign.consumer() as consumer:
        await campaign.apply(50)
        for _ in range(FEW_ROUNDS):
            away = campaign.rng.choice(sorted(ALL - {await coordinator(broker, campaign.settings.kafka.group_id)}))
            theirs = await led_by(campaign, broker, away)
            before = proxies[away].happened["swallowed"]
            with proxies[away].black_hole():
                campaign.continue_with(goes_elsewhere(theirs))
                await campaign.publish(100)
                await campaign.all_applied(besides=theirs)
            swallowed += proxies[away].happened["swallowed"] - before
            campaign.continue_with(lambda _: True)
            await campaign.publish(200)
            await campaign.recover()
        assert consumer.exit_code is None
    outcomes(await campaign.judge("network: clients cut off from a broker", swallowed))


async def test_the_only_broker_of_some_partitions_dies(
    campaign: Campaign, broker: KafkaCluster, outcomes: Take
) -> None:
    """They have no leader until it is back. The partitions of the others are read meanwhile."""
    topic = topic_of(campaign.settings, "video")
    await without_replicas(broker, topic)
    waited = 0
    with campaign.consumer() as consumer:
        for _ in range(FEW_ROUNDS):
            await campaign.apply(50)
            victim = campaign.rng.choice(sorted(ALL))
            theirs = {partition for partition in await led_by(campaign, broker, victim) if partition.topic == topic}
            async with campaign.held_back():
                await campaign.publish(200)
            broker.kill(victim)
            campaign.continue_with(goes_elsewhere(theirs))
            await campaign.publish(100)
            await campaign.all_applied(besides=theirs)
            (without,) = [number for number, leader in (await leaders(broker, topic)).items() if leader == -1]
            waited += Partition(topic, without) in theirs
            broker.restart(victim)
            campaign.continue_with(lambda _: True)
            await campaign.publish(100)
            await campaign.recover()
            await all_in_sync(broker, set(campaign.settings.kafka.topics) - {topic})
        assert consumer.exit_code is None
    outcomes(await campaign.judge("partitions without a leader", waited))
