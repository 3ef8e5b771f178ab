"""The disk of the broker is full: it ends, and is started again when there is room."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from reelsync.testing.servers.containers import ContainerBroker
from tests.faults.campaign import FEW_ROUNDS, Campaign
from tests.faults.outcomes import Outcome
from tests.faults.proxy import TcpProxy
from tests.services.small_disk import SmallDisk, has_ended
from tests.support.running import eventually

pytestmark = pytest.mark.containers
Take = Callable[[Outcome], None]
STARTED = b"Kafka Server started"
NO_ROOM = b"No space left on device"


class SmallBroker(ContainerBroker):
    """Apache Kafka with a small disk, behind a proxy, so that its port stays the same."""

    def __init__(self, proxy: TcpProxy, disk: SmallDisk) -> None:
        super().__init__(proxy.port)
        self.disk = disk
        self._proxy = proxy
        self._container.with_volume_mapping(disk.name, "/var/lib/kafka/data", "rw")

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended, because there is no room."""
        container = self._container.get_wrapped_container()
        return has_ended(container) and NO_ROOM in container.logs(tail=500)

    async def start_again(self) -> None:
        """Start it with the log that it had, and wait until it serves."""
        container = self._container.get_wrapped_container()
        before = container.logs().count(STARTED)
        container.start()
        self._proxy.target = self.address

        async def serves() -> bool:
            return container.logs().count(STARTED) > before

        await eventually(serves, "the broker serves again")


@pytest.fixture(scope="module")
def reelsync_broker() -> Iterator[SmallBroker]:
    with TcpProxy() as proxy, SmallDisk(128) as disk, SmallBroker(proxy, disk) as broker:
        proxy.target = broker.address
        yield broker


@pytest.fixture(scope="module")
def broker(reelsync_broker: SmallBroker) -> SmallBroker:
    return reelsync_broker


async def fill_up(broker: SmallBroker, topic: str) -> None:
    """Fill its disk, and write to a topic that nobody reads until the broker ends."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, request_timeout_ms=1_000)
    await producer.start()
    broker.disk.fill()

    async def ended() -> bool:
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(producer.send_and_wait(topic, b"x" * 10_000), 1)
        return broker.has_ended

    try:
        await eventually(ended, "the broker ends")
    finally:
        await producer.stop()


async def test_the_disk_of_the_broker_is_full(campaign: Campaign, broker: SmallBroker, outcomes: Take) -> None:
    unread = f"unread-{secrets.token_hex(4)}"
    await broker.create_topics({unread: 1})
    ended = 0
    with campaign.consumer() as first, campaign.consumer() as second:
        for _ in range(FEW_ROUNDS):
            await campaign.apply(50)
            async with campaign.held_back():
                await campaign.publish(300)
            await campaign.progress(campaign.rng.randrange(1, 100))
            await fill_up(broker, unread)
            ended += broker.has_ended
            broker.disk.free()
            await broker.start_again()
            await campaign.publish(100)
            await campaign.recover()
        assert (first.exit_code, second.exit_code) == (None, None)
    outcomes(await campaign.judge("broker: disk full", ended))
