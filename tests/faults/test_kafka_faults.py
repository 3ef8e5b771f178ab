"""The brokers cannot be reached, or do not answer, while there is a backlog."""

from collections.abc import Callable

from tests.faults.campaign import ROUNDS, Campaign
from tests.faults.outcomes import Outcome
from tests.faults.proxy import TcpProxy
from tests.support.running import eventually

Take = Callable[[Outcome], None]


async def test_connections_to_the_broker_are_cut(campaign: Campaign, kafka_proxy: TcpProxy, outcomes: Take) -> None:
    cut = 0
    with campaign.consumer(), campaign.consumer():
        await campaign.apply(20)
        for _ in range(ROUNDS):
            async with campaign.held_back():
                await campaign.publish(400)
            await campaign.progress(campaign.rng.randrange(1, 200))
            cut += kafka_proxy.cut()
            await campaign.recover()
    outcomes(await campaign.judge("connections to the broker cut", cut))


async def test_the_broker_vanishes_for_longer_than_the_session(
    campaign: Campaign, kafka_proxy: TcpProxy, outcomes: Take
) -> None:
    swallowed = kafka_proxy.happened["swallowed"]
    with campaign.consumer() as consumer:
        await campaign.apply(20)
        async with campaign.held_back():
            await campaign.publish(400)
        with kafka_proxy.black_hole():

            async def noticed() -> bool:
                return consumer.count("poll.failed") > 0

            await eventually(noticed, f"the consumer misses the broker: {consumer.said()}", 120)
        await campaign.recover()
    outcomes(await campaign.judge("broker in a black hole", kafka_proxy.happened["swallowed"] - swallowed))


async def test_a_hanging_offset_commit_does_not_hold_up_records(
    campaign: Campaign, kafka_proxy: TcpProxy, outcomes: Take
) -> None:
    """What Kafka is told of positions is advisory; the truth is in PostgreSQL."""
    happened = kafka_proxy.happened
    before = happened["hanging commit"]
    patient = campaign.settings.kafka.model_copy(update={"session_timeout_ms": 30_000})
    with campaign.consumer(settings=campaign.settings.model_copy(update={"kafka": patient})):
        await campaign.apply(20)
        for _ in range(ROUNDS):
            hung = happened["hanging commit"]

            async def hanging(before: int = hung) -> bool:
                return happened["hanging commit"] > before

            with kafka_proxy.hanging_offset_commits():
                await campaign.publish(200)
                await eventually(hanging, "a commit hangs")
                await campaign.publish(200)
                await campaign.recover()

            async def released() -> bool:
                return happened["released commit"] == happened["hanging commit"]

            await eventually(released, "the commits go on")
    outcomes(await campaign.judge("offset commit to Kafka hangs", happened["hanging commit"] - before))
