"""A query of Kafka that is cancelled, at whatever moment, leaves no connection open."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from reelsync.consumer.kafka.group_members import count_members
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.kafka.producer import TopicProducer
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.support.connections import open_connections, until_closed, watching_connections
from tests.support.running import topic_of

MOMENTS = 80
"""Turns of the event loop before the query is cancelled. Most clients are connected after 40, a producer after 50."""


async def send(settings: Settings) -> None:
    producer = TopicProducer(settings.kafka, topic_of(settings, "video"))
    try:
        await producer.send(b"key", b"value", [])
    finally:
        await producer.close()


QUERIES: dict[str, Callable[[Settings], Awaitable[object]]] = {
    "cluster": lambda settings: KafkaLog(settings.kafka).cluster(),
    "ranges": lambda settings: KafkaLog(settings.kafka).ranges([Partition(topic_of(settings, "video"), 0)]),
    "members": lambda settings: count_members(settings.kafka),
    "send": send,
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_cancelled_query_leaves_no_connection_open(settings: Settings, query: str) -> None:
    ended_too_early = 0
    with watching_connections():
        for moment in range(MOMENTS):
            asking = asyncio.ensure_future(QUERIES[query](settings))
            for _ in range(moment):
                await asyncio.sleep(0)
            ended_too_early += asking.cancel()
            with suppress(asyncio.CancelledError):
                await asking
            await until_closed(f"no connection is open after a cancellation in turn {moment}")
    assert ended_too_early > MOMENTS / 4


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_that_is_cancelled_twice_has_closed_its_connections_when_it_ends(
    settings: Settings, query: str
) -> None:
    """As when a consumer is stopped while it closes what a time limit has cancelled: its event loop ends soon."""
    closing = 0
    with watching_connections():
        for moment in range(MOMENTS // 2, MOMENTS * 2, 4):
            asking = asyncio.ensure_future(QUERIES[query](settings))
            for _ in range(moment):
                await asyncio.sleep(0)
            asking.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            closing += asking.cancel() and bool(open_connections())
            with suppress(asyncio.CancelledError):
                await asking
            assert open_connections() == [], f"cancelled in turn {moment}"
    assert closing
