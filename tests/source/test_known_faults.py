"""Known faults of aiokafka, and what holds each of them off: docs/decisions/0009-aiokafka-behind-one-file.md."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from reelsync.consumer.kafka.broker_client import Client
from reelsync.consumer.kafka.clients import Member, new_member, stop_within
from reelsync.consumer.kafka.producer import TopicProducer
from reelsync.events.publishing import AIOKAFKA_OPTIONS
from tests.services.contract import Broker
from tests.support.connections import open_connections, until_closed, watching_connections
from tests.support.running import eventually

from .brokers import BrokersRig
from .rig import PARTITIONS, reading

_ENDS = 30
"""Seconds in which a thing ends that must not wait for a broker."""


async def test_a_record_of_which_a_part_came_is_read_again(rig: BrokersRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka#1173: it moves past the record."""
    accepted, cut = Client._accepted, []

    def cut_off(client: Client, response: Any, asked: Mapping[Any, Any]) -> list[tuple[str, list[Any]]]:
        return [(topic, [shortened(part) for part in parts]) for topic, parts in accepted(client, response, asked)]

    def shortened(part: tuple[Any, ...]) -> tuple[Any, ...]:
        *before, records = part
        if not records or cut:
            return part
        cut.append(records)
        return (*before, records[:30])

    monkeypatch.setattr(Client, "_accepted", cut_off)
    await rig.publish(0, 3)
    async with reading(rig) as member, asyncio.timeout(_ENDS):
        while rig.place(0) not in member.taken:
            rig.positions.store(await member.poll())
        assert member.taken[rig.place(0)] == [0, 1, 2]
        assert cut


@pytest.fixture
async def joined(rig: BrokersRig) -> Member:
    """A member of the group that reads all partitions."""
    member = await new_member(rig.settings, None)
    member.subscribe(list(rig.settings.topics))
    await member.start()

    async def assigned() -> bool:
        return len(member.assignment()) == PARTITIONS

    await eventually(assigned, "it is a member")
    return member


def noting_its_end(member: Member) -> list[str]:
    """Whether the next `stop` ends by itself."""
    ends: list[str] = []
    stop = member.stop

    async def noted() -> None:
        await stop()
        this = asyncio.current_task()
        if this and not this.cancelling():
            ends.append("by itself")

    member.stop = noted
    return ends


@pytest.mark.apache_kafka(because="numbers the first generation of a group 0, and aiokafka does not leave that one")
async def test_a_member_is_left_while_no_broker_answers(joined: Member, broker: Broker) -> None:
    """aiokafka#1013: `stop` waits for an answer. Nothing of the member may go on when the broker answers again."""
    ends = noting_its_end(joined)
    with broker.frozen():
        async with asyncio.timeout(_ENDS):
            await stop_within(joined, seconds=0.5)
        assert not ends
        assert not any(connection.connected() for connection in joined._client._conns.values())
        assert joined._fetcher._fetch_task.done()


async def test_a_member_is_left_whose_heartbeat_does_not_end(joined: Member, rig: BrokersRig) -> None:
    """aiokafka#773: `stop` waits for it. The group does without the member after its session timeout."""
    ends, released = noting_its_end(joined), asyncio.Event()
    joined._coordinator._heartbeat_task.cancel()

    async def hear_nothing() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    joined._coordinator._heartbeat_task = deaf = asyncio.create_task(hear_nothing())
    async with asyncio.timeout(_ENDS):
        await stop_within(joined, seconds=0.5)
    assert not ends
    async with reading(rig) as other:
        await other.settle(PARTITIONS)
    released.set()
    await deaf


async def test_a_producer_gives_up_when_no_broker_answers(rig: BrokersRig, broker: Broker) -> None:
    """aiokafka#1101: one that is idempotent tries again for ever. Ours are not."""
    servers = rig.settings.bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=servers, request_timeout_ms=500, **AIOKAFKA_OPTIONS)
    await producer.start()
    with broker.frozen():
        async with asyncio.timeout(_ENDS):
            with pytest.raises(KafkaError):
                await producer.send_and_wait(rig.place(0).topic, b"1", partition=0)
            await producer.stop()


async def test_the_producer_of_the_relay_is_closed_while_no_broker_answers(
    rig: BrokersRig, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka#1101: `stop` waits for the acknowledgement of what was sent. It goes on, and nothing is left open."""
    monkeypatch.setattr("reelsync.consumer.kafka.producer._STOP_SECONDS", 0.5)
    with watching_connections():
        producer = TopicProducer(rig.settings, rig.place(0).topic)
        await producer.send(b"key", b"1", [])
        with broker.frozen():
            sending = asyncio.create_task(producer.send(b"key", b"2", []))
            await asyncio.wait({sending}, timeout=0.1)
            sending.cancel()
            async with asyncio.timeout(_ENDS):
                await producer.close()
            assert open_connections()
        await until_closed("what was sent is acknowledged, and then no connection is left")
