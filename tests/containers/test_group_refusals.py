"""A group that would not let a consumer in: `check` says the same as `run`, and no member notices that it asked."""

import asyncio
import json
import secrets
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

from reelsync.consumer.kafka.admission import ask_to_join
from reelsync.consumer.kafka.group_members import members_of_group
from reelsync.consumer.settings import Settings
from tests.containers.tls_kafka import PERMISSIONS, USER, TlsKafka, tls_kafka
from tests.support.builders import an_id, video
from tests.support.processes import process, run_command
from tests.support.running import consuming, eventually, publish, topic_of, until_applied

pytestmark = pytest.mark.timeout(400)
_PATIENCE_SECONDS = 180
MOST_MEMBERS = 2
Making = Callable[[Settings, TlsKafka], AbstractAsyncContextManager[dict[str, str]]]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsKafka]:
    with tls_kafka(tmp_path_factory.mktemp("certificates"), *PERMISSIONS, f"group.max.size={MOST_MEMBERS}") as started:
        yield started


@pytest.fixture
async def settings(database: str, kafka: TlsKafka) -> Settings:
    topics, group = await kafka.create_topics(), f"group-{secrets.token_hex(4)}"
    connection = {"bootstrap_servers": kafka.address("plain"), "topics": topics, "group_id": group}
    return Settings.model_validate({"kafka": connection, "database": {"url": database}})


@asynccontextmanager
async def members(settings: Settings, count: int = 1, **options: Any) -> AsyncIterator[dict[str, str]]:
    """Members of the group of another program, which call themselves as ours do."""
    kafka = {"bootstrap_servers": settings.kafka.bootstrap_servers, "group_id": settings.kafka.group_id}
    async with AsyncExitStack() as stack:
        for _ in range(count):
            member = AIOKafkaConsumer(topic_of(settings, "video"), client_id="reelsync", **kafka, **options)
            await member.start()
            stack.push_async_callback(member.stop)
            stack.push_async_exit(await _polled(member))
        yield {}


async def _polled(member: AIOKafkaConsumer) -> Any:
    """Let the member take part in rebalances, until the end."""

    async def poll() -> None:
        while True:
            await member.getmany(timeout_ms=100)

    polling = asyncio.create_task(poll())

    async def end(*_: object) -> None:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)

    return end


def another_assignor(settings: Settings, _: TlsKafka) -> AbstractAsyncContextManager[dict[str, str]]:
    return members(settings, partition_assignment_strategy=[RoundRobinPartitionAssignor])


def full(settings: Settings, _: TlsKafka) -> AbstractAsyncContextManager[dict[str, str]]:
    return members(settings, MOST_MEMBERS)


@asynccontextmanager
async def of_connect(settings: Settings, _: TlsKafka) -> AsyncIterator[dict[str, str]]:
    """A member of the kind that workers of Kafka Connect are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    group = settings.kafka.group_id
    await members_of_group(settings.kafka)  # Waits until there is a coordinator.
    coordinator = await admin.find_coordinator(group)
    member_id = ""
    for _attempt in range(2):
        joining = JoinGroupRequest(group, 60_000, 60_000, member_id, None, "connect", [("sessioned", b"")])
        joined = await admin._send_request(joining, coordinator)
        member_id = joined.member_id
    assert joined.error_code == 0
    yield {}
    await admin._send_request(LeaveGroupRequest(group, member_id), coordinator)
    await admin.close()


@asynccontextmanager
async def short_sessions(_settings: Settings, _: TlsKafka) -> AsyncIterator[dict[str, str]]:
    yield {"REELSYNC_KAFKA__SESSION_TIMEOUT_MS": "5000"}


@asynccontextmanager
async def not_granted(settings: Settings, kafka: TlsKafka) -> AsyncIterator[dict[str, str]]:
    """The user may read the topic, and ask about the group, but not be a member."""
    for topic in settings.kafka.topics:
        kafka.change_permissions(f"--add --operation Read --operation Describe --topic {topic}")
    kafka.change_permissions(f"--add --operation Describe --group {settings.kafka.group_id}")
    login = {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SASL_USERNAME": USER, "SASL_PASSWORD": kafka.password}
    login["BOOTSTRAP_SERVERS"] = kafka.address("sasl")
    yield {f"REELSYNC_KAFKA__{name}": value for name, value in login.items()}


class Fault(NamedTuple):
    """How it is made, with variables for the two commands, and what both say."""

    making: Making
    said: str


FAULTS = {
    "another assignor": Fault(another_assignor, "another program is a member of group"),
    "kafka connect": Fault(of_connect, "another program is a member of group"),
    "too many members": Fault(full, "has as many members as the brokers' group.max.size allows"),
    "session timeout": Fault(short_sessions, "set REELSYNC_KAFKA__SESSION_TIMEOUT_MS between"),
    "not granted": Fault(not_granted, "may not be a member of group"),
}


def lines_of(running: subprocess.Popen[str]) -> list[str]:
    """All that it says until it ends, which it does by itself."""
    stopping = threading.Timer(_PATIENCE_SECONDS, running.kill)
    stopping.start()
    try:
        return list(running.stderr or ())
    finally:
        stopping.cancel()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_both_say_why_the_group_refuses_us(settings: Settings, kafka: TlsKafka, fault: Fault) -> None:
    async with fault.making(settings, kafka) as variables:
        checked = await asyncio.to_thread(run_command, settings, "check", "--json", **variables)
        (wrong,) = [row for row in json.loads(checked.stdout) if not row["ok"]]
        assert (wrong["check"], checked.returncode) == ("group", 1)
        assert fault.said in wrong["message"], wrong
        with process(settings, "-m", "reelsync.consumer", "run", REELSYNC_LOG__FORMAT="json", **variables) as running:
            lines = await asyncio.to_thread(lines_of, running)
        halted = [line for line in lines if "consumer.halted" in line]
        assert [fault.said in line for line in halted] == [True], lines
    assert (await asyncio.to_thread(run_command, settings, "check")).returncode == 0


async def test_nobody_notices_that_check_has_asked(settings: Settings) -> None:
    async with consuming(settings) as consumer:
        await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created", 1))])
        await until_applied(settings)
        for _ in range(20):
            await ask_to_join(settings.kafka)
        await publish(settings, topic_of(settings, "video"), [(an_id(2).encode(), video("created", 2))])
        await until_applied(settings)
        assert consumer.metrics.rebalances.total() == 1
        async with consuming(settings) as second:

            async def both_read() -> bool:
                return bool(consumer.source.positions and second.source.positions)

            await eventually(both_read, "a new member is let in: no id that was asked for keeps its place")
