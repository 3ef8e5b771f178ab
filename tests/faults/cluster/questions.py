"""What tests ask the brokers of a cluster."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from reelsync.testing.servers.child_process import ServiceError
from reelsync.testing.servers.topics import create_topics
from tests.services.kafka_cluster import KafkaCluster
from tests.support.running import eventually

Answer = TypeVar("Answer")
ALL = {1, 2, 3}


async def ask(broker: KafkaCluster, question: Callable[[AIOKafkaAdminClient], Awaitable[Answer]]) -> Answer:
    """Ask by a new connection, again if it went to a broker that is gone."""
    answers: list[Answer] = []

    async def answered() -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        try:
            await admin.start()
            answers.append(await question(admin))
        except KafkaError:
            return False
        finally:
            await admin.close()
        return True

    await eventually(answered, "a broker answers")
    return answers[-1]


async def leaders(broker: KafkaCluster, topic: str) -> dict[int, int]:
    """The broker that leads each partition."""
    (described,) = await ask(broker, lambda admin: admin.describe_topics([topic]))
    return {partition["partition"]: partition["leader"] for partition in described["partitions"]}


async def coordinator(broker: KafkaCluster, group: str) -> int:
    """The broker that coordinates the group."""
    return await ask(broker, lambda admin: admin.find_coordinator(group))


async def all_in_sync(broker: KafkaCluster, topics: Iterable[str]) -> None:
    """Wait until all replicas have caught up."""

    async def whole() -> bool:
        described = await ask(broker, lambda admin: admin.describe_topics(list(topics)))
        return all(set(partition["isr"]) == ALL for topic in described for partition in topic["partitions"])

    await eventually(whole, "all replicas are in sync again", 120)


async def without_replicas(broker: KafkaCluster, topic: str) -> dict[int, int]:
    """Create the topic again, each of its three partitions on another broker. Returns which is on which."""
    await ask(broker, lambda admin: admin.delete_topics([topic]))

    async def created() -> bool:
        with suppress(ServiceError):
            await create_topics(broker.bootstrap_servers, {topic: len(ALL)})
            return True
        return False

    await eventually(created, "the topic is deleted, and created again")

    found: dict[int, int] = {}

    async def known() -> bool:
        (described,) = await ask(broker, lambda admin: admin.describe_topics([topic]))
        # A broker that has not heard of it yet describes the topic that was deleted.
        found.update({p["partition"]: p["leader"] for p in described["partitions"] if len(p["replicas"]) == 1})
        return set(found.values()) == ALL

    await eventually(known, "each broker leads a partition")
    return found
