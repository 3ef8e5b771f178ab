"""A topic is deleted and created again while it is consumed: no record is skipped, and it is said which one it was."""

import asyncio
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.faults.campaign import LONG
from tests.faults.consumer_process import ConsumerProcess
from tests.services.contract import Broker
from tests.support.builders import an_id, user, video
from tests.support.processes import run_command
from tests.support.running import eventually, publish, rows_of, topic_of
from tests.support.topics import create_again

BEFORE, AFTER = 20, 50
BY_ID, BY_NAME = (), ("tests/faults/old_broker_consumer.py",)
SHORT_RUNS = [
    *((0.0, 1, 1, BY_ID), (0.0, 3, 3, BY_ID), (0.15, 3, 1, BY_ID), (0.3, 1, 1, BY_ID), (0.6, 3, 3, BY_ID)),
    *((2.0, 3, 3, BY_ID), (0.0, 1, 1, BY_NAME), (0.3, 3, 1, BY_NAME)),
]
ALL_RUNS = [
    (held, *members, command)
    for command in (BY_ID, BY_NAME)
    for held in (0.0, 0.05, 0.15, 0.3, 0.6, 1.0, 2.0)
    for members in ((1, 1), (3, 1), (3, 3))
]


class Group:
    """Consumer processes of one group."""

    def __init__(self, processes: Iterable[ConsumerProcess]) -> None:
        self.processes = list(processes)

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.signal(number)

    def halted(self, reason: str) -> set[str]:
        """The partitions of which some process said that they halt for this reason."""
        return {line["partition"] for process in self.processes for line in process.lines("partition.halted", reason)}

    def said(self) -> str:
        return "\n".join(process.said() for process in self.processes)


@contextmanager
def group_of(settings: Settings, directory: Path, members: int, command: tuple[str, ...]) -> Iterator[Group]:
    """So many consumers. Gone at the end of the block."""
    with ExitStack() as stack:
        logs = [directory / f"consumer-{number}.log" for number in range(members)]
        processes = [ConsumerProcess(settings, log, *command) for log in logs]
        for process in processes:
            stack.callback(process.end)
        yield Group(processes)


async def send(settings: Settings, topic: str, partition: int, numbers: Iterable[int]) -> None:
    """Publish the creation of videos to one partition, in order."""
    values = [(an_id(number).encode(), video("created", number)) for number in numbers]
    await publish(settings, topic, values, partitioner=lambda *_: partition)


def numbers_of(partition: int, generation: int, count: int) -> range:
    """The videos whose creation is in a partition of the topic, by how often it was created before."""
    first = 100_000 * generation + 1_000 * partition
    return range(first, first + count)


async def positions(operator: AsyncConnection, topic: str) -> dict[int, int]:
    rows = await operator.execute(
        text("SELECT partition, next_offset FROM consumer_offsets WHERE topic = :topic"), {"topic": topic}
    )
    return {row.partition: row.next_offset for row in rows}


async def until_at(operator: AsyncConnection, topic: str, wanted: dict[int, int], group: Group) -> None:
    async def there() -> bool:
        return await positions(operator, topic) == wanted

    await eventually(there, f"positions {wanted}: {group.said()}", 90)


async def replace(settings: Settings, broker: Broker, topic: str, partitions: int, group: Group, held: float) -> None:
    """Create the topic again, with other records, while its consumers stand still for `held` seconds."""
    if held:
        group.signal(signal.SIGSTOP)
    await create_again(settings, broker, topic, partitions)
    for partition in range(partitions):
        await send(settings, topic, partition, numbers_of(partition, 1, AFTER))
    if held:
        await asyncio.sleep(held)  # how long they stand still is the subject: timeouts of the group pass, or do not
        group.signal(signal.SIGCONT)


async def assert_the_others_go_on(settings: Settings, group: Group) -> None:
    await publish(settings, topic_of(settings, "user"), [(an_id(1).encode(), user("created"))])

    async def goes_on() -> bool:
        return any(row["version"] == 1 for row in await rows_of(settings, "users"))

    await eventually(goes_on, f"the other topic goes on: {group.said()}")


@pytest.mark.parametrize(("held", "partitions", "members", "command"), ALL_RUNS if LONG else SHORT_RUNS)
async def test_a_topic_created_again_under_its_consumers_halts(
    settings: Settings,
    broker: Broker,
    operator: AsyncConnection,
    tmp_path: Path,
    held: float,
    partitions: int,
    members: int,
    command: tuple[str, ...],
) -> None:
    videos, users = f"again-{tmp_path.name[-30:]}-{partitions}", topic_of(settings, "user")
    await broker.create_topics({videos: partitions})
    kafka = settings.kafka.model_copy(update={"topics": {videos: "video", users: "user"}})
    settings = settings.model_copy(update={"kafka": kafka})
    every = range(partitions)
    with group_of(settings, tmp_path, members, command) as group:
        for partition in every:
            await send(settings, videos, partition, numbers_of(partition, 0, BEFORE))
        await until_at(operator, videos, dict.fromkeys(every, BEFORE), group)
        await replace(settings, broker, videos, partitions, group, held)

        async def named() -> bool:
            return group.halted("recreated") == {f"{videos}/{partition}" for partition in every}

        await eventually(named, f"each partition is named: {group.said()}", 90)
        await assert_the_others_go_on(settings, group)
        assert await positions(operator, videos) == dict.fromkeys(every, BEFORE), "nothing is committed past it"
        assert len(await rows_of(settings, "videos")) == BEFORE * partitions

        done = run_command(settings, "offsets", "reset", videos, "--to", "earliest")
        assert done.returncode == 0, done.stderr
        await until_at(operator, videos, dict.fromkeys(every, AFTER), group)
        found = {str(row["id"]) for row in await rows_of(settings, "videos")}
        wanted = [*(numbers_of(p, 0, BEFORE) for p in every), *(numbers_of(p, 1, AFTER) for p in every)]
        assert found == {an_id(number) for numbers in wanted for number in numbers}
