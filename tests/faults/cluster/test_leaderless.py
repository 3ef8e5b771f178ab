"""A partition loses the only broker that it is on: how long records of another one take, and what commands say."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.faults.cluster.questions import coordinator, without_replicas
from tests.faults.flowing import flowing
from tests.faults.outcomes import Outcome
from tests.services.kafka_cluster import KafkaCluster
from tests.support.builders import an_id, video
from tests.support.http_client import Client, served
from tests.support.processes import run_command
from tests.support.running import eventually, publish, topic_of, until_applied

pytestmark = [pytest.mark.containers, pytest.mark.timeout(400)]
Take = Callable[[Outcome], None]


async def is_leaderless(client: Client, place: Partition) -> bool:
    """Whether the page says so."""
    partitions = (await client.status())["partitions"]
    halts = {Partition(one["topic"], one["partition"]): one["halted"] for one in partitions}
    return bool(halts.get(place)) and halts[place]["reason"] == "no_leader"


async def test_the_others_go_on_when_a_leader_goes(
    settings: Settings, broker: KafkaCluster, outcomes: Take, tmp_path: Path
) -> None:
    """It leads no other partition that matters here, and does not coordinate the group."""
    topic = topic_of(settings, "video")
    led = await without_replicas(broker, topic)
    listening = settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})})
    async with served(listening) as (_, client):
        await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(9)])
        await until_applied(settings)
        coordinating = await coordinator(broker, settings.kafka.group_id)
        gone = next(number for number, leader in led.items() if leader != coordinating)
        other = next(number for number in led if number != gone)
        async with flowing(settings, Partition(topic, other), "video") as flow:
            before = await flow.goes_on()
            broker.kill(led[gone])
            try:
                await eventually(lambda: is_leaderless(client, Partition(topic, gone)), "the partition is named")
                longest = max(flow.seconds[before : await flow.goes_on()])
                for command in (("verify",), ("archive", topic, str(tmp_path))):
                    done = await asyncio.to_thread(run_command, settings, *command)
                    assert (done.returncode, f"{topic}/{gone} was not read whole" in done.stderr) == (3, True), done
            finally:
                broker.restart(led[gone])
        sys.stdout.write(f"leaderless: {longest:.2f} s, and {max(flow.seconds[1:before]):.2f} s before\n")
    outcomes(Outcome("one partition leaderless: the others meanwhile", 1, flow.sent, 1, flow.lost, 0, [], [longest]))
