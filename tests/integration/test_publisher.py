"""The publisher over each producer: acknowledged means in the log, under the right key, and applied by a consumer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer
from confluent_kafka.aio import AIOProducer

from reelsync.consumer.settings import Settings
from reelsync.events import EventData
from reelsync.events.publishing import (
    AIOKAFKA_OPTIONS,
    CONFLUENT_OPTIONS,
    BlockingPublisher,
    DeliveryError,
    Publisher,
    Sent,
    deliver,
)
from reelsync.testing.builders import a_user, a_video, every_event
from tests.services.contract import Broker
from tests.support.running import consuming, rows_of, topic_of, until_applied

LIBRDKAFKA = {"log_level": 0, "allow.auto.create.topics": False}


def options_of(settings: Settings, **options: Any) -> dict[str, Any]:
    return {"bootstrap.servers": settings.kafka.bootstrap_servers, **CONFLUENT_OPTIONS, **LIBRDKAFKA, **options}


@asynccontextmanager
async def aiokafka_producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, **AIOKAFKA_OPTIONS) as producer:
        yield producer


@asynccontextmanager
async def confluent_producer(settings: Settings) -> AsyncIterator[Producer]:
    producer = Producer(options_of(settings))
    yield producer
    producer.flush(10)


@asynccontextmanager
async def async_confluent_producer(settings: Settings) -> AsyncIterator[AIOProducer]:
    producer = AIOProducer(options_of(settings))
    yield producer
    await producer.close()


PRODUCERS: list[Callable[[Settings], Any]] = [aiokafka_producer, confluent_producer, async_confluent_producer]


def topics_of(settings: Settings) -> Any:
    return {aggregate: topic for topic, aggregate in settings.kafka.topics.items()}


async def record_at(settings: Settings, sent: Sent) -> Any:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await consumer.start()
    try:
        partition = TopicPartition(sent.topic, sent.partition)
        consumer.assign([partition])
        consumer.seek(partition, sent.offset)
        return await consumer.getone(partition)
    finally:
        await consumer.stop()


@pytest.mark.parametrize(
    ("made", "mode"),
    [
        (aiokafka_producer, "structured"),
        (aiokafka_producer, "binary"),
        (confluent_producer, "structured"),
        (confluent_producer, "binary"),
        (async_confluent_producer, "structured"),
    ],
)
async def test_every_event_is_applied(settings: Settings, made: Any, mode: Any) -> None:
    async with consuming(settings):
        async with made(settings) as producer:
            publisher = Publisher(producer, source="/tests", topics=topics_of(settings), mode=mode)
            *events, _erasure = every_event()
            sent = [await publisher.send(events[0]), *await publisher.send_many(events[1:])]
        await until_applied(settings)
    assert await rows_of(settings, "dead_letters") == []
    (video,) = await rows_of(settings, "videos")
    (user,) = await rows_of(settings, "users")
    assert (video["version"], user["version"]) == (8, 9)
    assert len(await rows_of(settings, "model_usage")) == 1
    record = await record_at(settings, sent[0])
    assert sent[0].id.encode() in record.value + b"".join(content for _, content in record.headers)
    assert record.key.decode() == str(video["id"])


@pytest.mark.apache_kafka(because="has no idempotent producers")
async def test_idempotent_producers_publish_too(settings: Settings) -> None:
    servers = settings.kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=servers, **AIOKAFKA_OPTIONS, enable_idempotence=True) as producer:
        assert await Publisher(producer, source="/tests", topics=topics_of(settings)).send(a_video().created())
    producer = Producer(options_of(settings, **{"enable.idempotence": True}))
    publisher = BlockingPublisher(producer, source="/tests", topics=topics_of(settings))
    assert await asyncio.to_thread(publisher.send, a_video().created())


async def test_binary_mode_is_refused_where_headers_cannot_be_sent(settings: Settings) -> None:
    async with async_confluent_producer(settings) as producer:
        publisher = Publisher(producer, source="/tests", topics=topics_of(settings), mode="binary")
        with pytest.raises(TypeError, match="AIOProducer sends no headers"):
            await publisher.send(a_video().created())


@pytest.mark.parametrize("made", PRODUCERS, ids=lambda made: made.__name__)
async def test_an_erasure_is_applied(settings: Settings, made: Any) -> None:
    user = a_user()
    async with consuming(settings), made(settings) as producer:
        publisher = Publisher(producer, source="/tests", topics=topics_of(settings))
        await publisher.send(user.created())
        sent = await publisher.erase("user", user.id)
        await until_applied(settings)
    (row,) = await rows_of(settings, "users")
    assert (row["username"], row["version"] >= 2**62, sent.id) == (None, True, "")


@pytest.mark.parametrize("made", PRODUCERS, ids=lambda made: made.__name__)
async def test_all_producers_put_an_aggregate_into_one_partition(settings: Settings, made: Any) -> None:
    """With the options given here. librdkafka's own partitioner would put two of three elsewhere."""
    events: list[EventData] = [a_video(video_id=f"{number:032x}").created() for number in range(30)]
    async with aiokafka_producer(settings) as reference, made(settings) as producer:
        expected = await Publisher(reference, source="/tests", topics=topics_of(settings)).send_many(events)
        found = await Publisher(producer, source="/tests", topics=topics_of(settings)).send_many(events)
    assert [sent.partition for sent in found] == [sent.partition for sent in expected]
    assert len({sent.partition for sent in found}) == 3


async def test_a_program_without_asyncio_publishes_and_erases(settings: Settings) -> None:
    def program() -> list[Sent]:
        publisher = BlockingPublisher(Producer(options_of(settings)), source="/tests", topics=topics_of(settings))
        gone, kept = a_user(), a_user()
        return [
            publisher.send(gone.created()),
            *publisher.send_many([kept.created(), kept.logged_in()]),
            publisher.erase("user", gone.id),
        ]

    async with consuming(settings):
        sent = await asyncio.to_thread(program)
        await until_applied(settings)
    assert len(sent) == len({(one.partition, one.offset) for one in sent}) == 4
    assert sorted(row["username"] is None for row in await rows_of(settings, "users")) == [False, True]


async def test_one_event_that_is_not_valid_holds_back_all_of_a_call(settings: Settings) -> None:
    """Half a batch in the log is the worst answer to a caller's mistake."""
    bad = a_video().created().model_copy(update={"version": 0})
    async with aiokafka_producer(settings) as producer:
        publisher = Publisher(producer, source="/tests", topics=topics_of(settings))
        with pytest.raises(ValueError, match="version"):
            await publisher.send_many([a_video().created(), bad])
        first = await publisher.send(a_video().created())
    assert first.offset == 0


@pytest.mark.parametrize("made", [aiokafka_producer, confluent_producer], ids=lambda made: made.__name__)
async def test_what_the_broker_refuses_is_named_and_may_be_sent_again(settings: Settings, made: Any) -> None:
    """A record over the producer's own limit stands for whatever may be refused."""
    video = a_video()
    async with made(settings) as producer:
        publisher = Publisher(producer, source="/tests", topics=topics_of(settings), max_value_bytes=4_000_000)
        good, last = (publisher.encoder.encode(event) for event in (video.created(), video.processing()))
        bad = publisher.encoder.encode(video.updated())._replace(value=b"x" * 2_000_000)
        with pytest.raises(DeliveryError, match=r"video\.updated") as failed:
            await publisher.send_many([good, bad, last])
        assert [sent.id for sent in failed.value.delivered] == [good.id]
        assert failed.value.undelivered == (bad, last)
        assert failed.value.__cause__ is not None
        assert "xxx" not in str(failed.value)
        assert [sent.id for sent in await deliver(producer, failed.value.undelivered[1:])] == [last.id]


async def test_brokers_that_do_not_answer_are_an_error_and_no_loss(settings: Settings, broker: Broker) -> None:
    producer = Producer(options_of(settings, **{"message.timeout.ms": 1_000}))
    publisher = BlockingPublisher(producer, source="/tests", topics=topics_of(settings))
    event = publisher.encoder.encode(a_video().created())
    with broker.frozen(), pytest.raises(DeliveryError, match="1 of 1 records were not acknowledged") as failed:
        await asyncio.to_thread(publisher.send_many, [event])
    again = BlockingPublisher(Producer(options_of(settings)), source="/tests", topics=topics_of(settings))
    assert (await asyncio.to_thread(again.send_many, failed.value.undelivered))[0].id == event.id


async def test_a_full_queue_is_waited_for(settings: Settings) -> None:
    producer = Producer(options_of(settings, **{"queue.buffering.max.messages": 100}))
    publisher = BlockingPublisher(producer, source="/tests", topics=topics_of(settings))
    video = a_video()
    events = [video.progressed() for _ in range(1_000)]
    sent = await asyncio.to_thread(publisher.send_many, events)
    assert [one.offset for one in sent] == list(range(1_000))


async def test_a_producer_that_does_not_run_is_an_error_and_not_a_wait_without_end(settings: Settings) -> None:
    servers = settings.kafka.bootstrap_servers
    producer = AIOKafkaProducer(bootstrap_servers=servers, **AIOKAFKA_OPTIONS)
    publisher = Publisher(producer, source="/tests", topics=topics_of(settings))
    with pytest.raises(RuntimeError, match="was not started"):
        await publisher.send(a_video().created())
    await producer.start()
    await producer.stop()
    with pytest.raises(RuntimeError, match="was stopped"):
        await publisher.send(a_video().created())


async def test_what_is_no_producer_is_said() -> None:
    with pytest.raises(TypeError, match="object is not a known producer"):
        await deliver(object(), [])


async def test_many_events_are_pipelined(settings: Settings) -> None:
    """Sent one by one each would wait for the broker; together they go in few requests."""
    requests: list[float] = []
    async with aiokafka_producer(settings) as producer:
        publisher = Publisher(producer, source="/tests", topics=topics_of(settings))
        sending = producer._sender._send_produce_req
        producer._sender._send_produce_req = lambda *given: requests.append(time.monotonic()) or sending(*given)
        video = a_video()
        sent = await publisher.send_many([video.progressed() for _ in range(2_000)])
    assert [one.offset for one in sent] == list(range(2_000))
    assert 0 < len(requests) < 200
    assert topic_of(settings, "video") == sent[0].topic
