"""One partition is in trouble: the longest that a record of another one takes meanwhile, as recovery in the table."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.containers import ContainerBroker
from tests.faults.flowing import Flow, flowing
from tests.faults.outcomes import Outcome
from tests.faults.test_corrupt_batches import flip_a_bit
from tests.support.builders import an_id, video
from tests.support.http_client import Client, served
from tests.support.running import eventually, publish, topic_of, until_applied
from tests.support.topics import create_again

pytestmark = [
    pytest.mark.apache_kafka(because="has no transactions, and deletes no records"),
    pytest.mark.containers,
    pytest.mark.timeout(300),
]
Take = Callable[[Outcome], None]
Fault = Callable[[Settings, ContainerBroker, AsyncConnection, AsyncExitStack], Awaitable[None]]
FIRST = 3
"""Records of the partition before its fault."""


async def move_to(operator: AsyncConnection, settings: Settings, offset: int) -> None:
    """Store another position for partition 0, which the consumer notices within 4 seconds."""
    topic = topic_of(settings, "video")
    where = f"WHERE topic = '{topic}' AND partition = 0"
    await operator.execute(text(f"UPDATE consumer_offsets SET next_offset = {offset} {where}"))


async def unreadable(settings: Settings, broker: ContainerBroker, operator: AsyncConnection, _: AsyncExitStack) -> None:
    await asyncio.to_thread(flip_a_bit, broker, topic_of(settings, "video"))
    await move_to(operator, settings, 0)


async def retention(settings: Settings, _: ContainerBroker, operator: AsyncConnection, stack: AsyncExitStack) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    stack.push_async_callback(admin.close)
    await admin.delete_records({TopicPartition(topic_of(settings, "video"), 0): RecordsToDelete(before_offset=FIRST)})
    await move_to(operator, settings, 0)


async def truncated(settings: Settings, _: ContainerBroker, operator: AsyncConnection, __: AsyncExitStack) -> None:
    await move_to(operator, settings, 10_000)


async def recreated(settings: Settings, broker: ContainerBroker, _: AsyncConnection, __: AsyncExitStack) -> None:
    await create_again(settings, broker, topic_of(settings, "video"), 3)


async def open_transaction(settings: Settings, _: ContainerBroker, __: AsyncConnection, stack: AsyncExitStack) -> None:
    servers, topic = settings.kafka.bootstrap_servers, topic_of(settings, "video")
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic)
    await producer.start()
    stack.push_async_callback(producer.stop)
    await producer.begin_transaction()
    await producer.send_and_wait(topic, video("created", 9), partition=0)
    stack.push_async_callback(producer.abort_transaction)
    await publish(settings, topic, [(b"v", video("created", 8))], partitioner=lambda *_: 0)


FAULTS: list[Fault] = [unreadable, retention, truncated, recreated, open_transaction]


async def is_named(client: Client, settings: Settings, reason: str) -> bool:
    """Whether the page names partition 0, and why it is not read."""
    for one in (await client.status())["partitions"]:
        if (one["topic"], one["partition"]) == (topic_of(settings, "video"), 0):
            return (
                bool(one["held_back"])
                if reason == "open_transaction"
                else (one["halted"] or {}).get("reason") == reason
            )
    return False


@pytest.fixture
async def flow(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Flow]:
    """Records of a partition of the same topic, or of another topic if all of it is in trouble."""
    about = "user" if request.node.callspec.params.get("fault") is recreated else "video"
    async with flowing(settings, Partition(topic_of(settings, about), 1), about) as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_the_others_go_on(
    settings: Settings,
    broker: ContainerBroker,
    operator: AsyncConnection,
    flow: Flow,
    outcomes: Take,
    fault: Fault,
) -> None:
    values = [(an_id(n).encode(), video("created", n)) for n in range(FIRST)]
    listening = settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})})
    async with served(listening) as (_, client), AsyncExitStack() as stack:
        await publish(settings, topic_of(settings, "video"), values, partitioner=lambda *_: 0)
        await until_applied(settings)
        before = await flow.goes_on()
        await fault(settings, broker, operator, stack)
        await eventually(lambda: is_named(client, settings, fault.__name__), "the partition is named")
        longest = max(flow.seconds[before : await flow.goes_on()])
        usual = max(flow.seconds[1:before])
        sys.stdout.write(f"{fault.__name__}: {longest:.2f} s, and {usual:.2f} s before\n")
    name = f"one partition {fault.__name__.replace('_', ' ')}: the others meanwhile"
    outcomes(Outcome(name, 1, len(flow.seconds), 1, flow.lost, 0, [], [longest]))
