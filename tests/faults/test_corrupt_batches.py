"""A bit of a stored batch has changed: its partition halts there, the others go on, and an operator passes over it."""

import asyncio
import shlex
from collections.abc import Callable

import pytest

from reelsync.consumer.records import Partition
from reelsync.testing.servers.containers import ContainerBroker
from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.consumer_process import ConsumerProcess
from tests.faults.outcomes import Outcome
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import eventually, publish, topic_of

Take = Callable[[Outcome], None]
FLIP = """
set -e
file=$(ls /var/lib/kafka/data/{topic}-0/*.log | tail -n 1)
at=$(($(stat -c %s "$file") - 20))
before=$(od -An -tu1 -j $at -N 1 "$file")
printf "\\\\$(printf %o $((before ^ 4)))" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
test "$(od -An -tu1 -j $at -N 1 "$file")" -ne "$before"
"""
"""Change one bit near the end of the last batch of partition 0. Brokers check what comes, not what goes."""


def flip_a_bit(broker: ContainerBroker, topic: str) -> None:
    status, said = broker._container.exec(["sh", "-c", FLIP.format(topic=topic)])
    assert status == 0, said


async def corrupt_once(campaign: Campaign, broker: ContainerBroker, number: int) -> None:
    """Store a batch that nobody publishes again, change it, and publish more after it."""
    topic = topic_of(campaign.settings, "video")
    values = [(an_id(1).encode(), video("created", 5_000 + number)) for _ in range(5)]
    await publish(campaign.settings, topic, values, partitioner=lambda *_: 0)
    await asyncio.to_thread(flip_a_bit, broker, topic)
    await campaign.publish(200)


async def pass_over(campaign: Campaign, consumer: ConsumerProcess) -> None:
    """Do what the halted partition's line says."""
    told = str(consumer.latest("partition.halted", "fix"))
    arguments = shlex.split(told.partition("reelsync ")[2])
    done = await asyncio.to_thread(run_command, campaign.settings, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.apache_kafka(because="keeps its log in memory")
async def test_a_changed_bit_halts_one_partition(campaign: Campaign, broker: ContainerBroker, outcomes: Take) -> None:
    halted = Partition(topic_of(campaign.settings, "video"), 0)
    rounds = FEW_ROUNDS
    for number in range(rounds):
        with campaign.consumer() as consumer:
            await campaign.apply(100)
        await corrupt_once(campaign, broker, number)
        with campaign.consumer() as consumer:

            async def is_halted(consumer: ConsumerProcess = consumer) -> bool:
                return consumer.count("partition.halted", reason="unreadable", partition=str(halted)) == 1

            await eventually(is_halted, f"the partition halts: {consumer.said()}")
            end = campaign.ends.pop(halted)
            await campaign.all_applied()
            campaign.ends[halted] = end
            await pass_over(campaign, consumer)
            await campaign.recover()
    outcomes(await campaign.judge("corrupt batch", rounds))
