"""The relay loses nothing: not by a crash, not by a second relay, not by a transaction that takes its time."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from examples.upload import relay as relaying
from examples.upload.relay import pause, relay, relay_until, waiting
from examples.upload.tables import Outbox
from examples.upload.uploads import Uploads
from reelsync.events import Aggregate, parse_event
from reelsync.events.publishing import DeliveryError, EventEncoder, OutgoingRecord, deliver, uuid7
from reelsync.events.publishing.delivery import AnyProducer
from reelsync.testing.builders import a_video
from reelsync.testing.consumer_thread import RunningConsumer

DIES_AFTER_SENDING = """
import asyncio, os, sys
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import create_async_engine
from reelsync.events.publishing import deliver
from examples.upload import relay

async def deliver_and_die(producer, records):
    await deliver(producer, records)
    os._exit(9)

async def main(url, servers):
    relay.deliver = deliver_and_die
    async with AIOKafkaProducer(bootstrap_servers=servers, acks="all") as producer:
        await relay.relay(create_async_engine(url), producer)

asyncio.run(main(*sys.argv[1:]))
"""


async def log_of(servers: str, topic: str, count: int) -> list[tuple[str, int]]:
    """Ids and versions of the first records of a topic, in the order of each partition."""
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        events = [parse_event(record.value) for record in [await consumer.getone() for _ in range(count)]]
    return [(event["id"], event["data"]["version"]) for event in events]


async def test_a_crash_between_sending_and_removing_sends_the_same_events_again(
    uploads: Uploads,
    uploads_url: str,
    engine: AsyncEngine,
    producer: AIOKafkaProducer,
    reelsync_consumer: RunningConsumer,
) -> None:
    video_id = await uploads.upload(uuid7(), "A tour")
    await uploads.rename(video_id, "A tour of the harbour")
    servers = reelsync_consumer.bootstrap_servers
    command = [sys.executable, "-c", DIES_AFTER_SENDING, uploads_url, servers]
    died = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert died.returncode == 9, died.stderr
    assert await relay(engine, producer) == 2
    first, second, *again = await log_of(servers, reelsync_consumer.topics["video"], 4)
    assert (first[1], second[1], again) == (1, 2, [first, second])
    await reelsync_consumer.until_applied()
    (video,) = await reelsync_consumer.rows("videos")
    assert (video["id"], video["title"], video["version"]) == (video_id, "A tour of the harbour", 2)


async def test_of_two_relays_one_works_and_order_is_kept(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    video_id = await uploads.upload(uuid7(), "Version 1")
    for number in range(2, 31):
        await uploads.rename(video_id, f"Version {number}")
    assert sorted(await asyncio.gather(relay(engine, producer), relay(engine, producer))) == [0, 30]
    log = await log_of(reelsync_consumer.bootstrap_servers, reelsync_consumer.topics["video"], 30)
    assert [version for _, version in log] == list(range(1, 31))


async def test_relays_run_until_they_are_stopped(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    stop = asyncio.Event()
    relays = [asyncio.create_task(relay_until(stop, engine, producer)) for _ in range(2)]
    video_id = await uploads.upload(uuid7(), "Version 1")
    await uploads.rename(video_id, "Version 2")
    log = await log_of(reelsync_consumer.bootstrap_servers, reelsync_consumer.topics["video"], 2)
    stop.set()
    await asyncio.gather(*relays)
    assert [version for _, version in log] == [1, 2]
    assert await waiting(engine) == 0


async def test_a_transaction_that_takes_its_time_is_not_passed_over(
    uploads: Uploads,
    engine: AsyncEngine,
    producer: AIOKafkaProducer,
    reelsync_consumer: RunningConsumer,
    reelsync_topics: dict[Aggregate, str],
) -> None:
    """It drew its position first, and commits after the next one was sent."""
    slow = a_video()
    record = EventEncoder(source="/upload/test", topics=reelsync_topics).encode(slow.created())
    async with AsyncSession(engine) as session, session.begin():
        session.add(Outbox.of(record))
        await session.flush()
        quick = await uploads.upload(uuid7(), "The quick one")
        assert await relay(engine, producer) == 1
    assert await relay(engine, producer) == 1
    await reelsync_consumer.until_applied()
    assert {row["id"] for row in await reelsync_consumer.rows("videos")} == {quick, UUID(slow.id)}


async def test_what_the_brokers_did_not_take_stays(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    video_id = await uploads.upload(uuid7(), "A tour")
    servers = reelsync_consumer.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, acks="all", max_request_size=100) as refuses:
        with pytest.raises(DeliveryError, match=r"1 of 1 records were not acknowledged: video\.created"):
            await relay(engine, refuses)
    assert await waiting(engine) == 1
    assert await relay(engine, producer) == 1
    await reelsync_consumer.until_applied()
    assert [row["id"] for row in await reelsync_consumer.rows("videos")] == [video_id]


async def test_what_the_brokers_or_the_database_refuse_is_logged_without_payloads_and_tried_again(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, caplog: pytest.LogCaptureFixture
) -> None:
    await uploads.upload(uuid7(), "A secret title")
    failures = [PoolTimeoutError("pool"), DBAPIError("INSERT", "A secret title", Exception())]

    async def deliver_at_last(producer: AnyProducer, records: Sequence[OutgoingRecord]) -> object:
        if failures:
            raise failures.pop()
        stop.set()
        return await deliver(producer, records)

    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaying, "deliver", deliver_at_last)
        await asyncio.wait_for(relay_until(stop, engine, producer), 60)
    assert await waiting(engine) == 0
    said = [record.getMessage() for record in caplog.records if record.name == relaying.__name__]
    assert ["attempt 1" in said[0], "attempt 2" in said[1], len(said)] == [True, True, 2]
    assert "secret" not in "".join(said)


def test_the_wait_grows_with_the_failures_and_has_an_end() -> None:
    assert max(pause(1) for _ in range(100)) <= 0.4
    assert 10 < max(pause(1_000) for _ in range(100)) <= 30
