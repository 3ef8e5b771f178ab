"""The relay: each parked letter in a topic of its own, at least once, with its key and Kafka Connect's headers."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, UnknownError

from reelsync.consumer.app import Consumer
from reelsync.consumer.dead_letters.relay import KafkaRelay
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.kafka.producer import TopicProducer
from reelsync.consumer.kafka.record_batches import read_all_batches
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.support.builders import an_id, video
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

KEY = an_id(1).encode()


@pytest.fixture
async def relaying(settings: Settings, broker: EmbeddedBroker) -> Settings:
    """Settings with a relay, to a topic that is there."""
    topic = f"{settings.kafka.group_id}-dead-letters"
    await broker.create_topics({topic: 1})
    dead_letters = settings.dead_letters.model_copy(update={"relay_topic": topic})
    return settings.model_copy(update={"dead_letters": dead_letters})


async def relayed(settings: Settings, count: int) -> list[Any]:
    """The first records of the relay's topic."""
    read_all_batches()
    reader = AIOKafkaConsumer(
        settings.dead_letters.relay_topic,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await reader.start()
    try:
        async with asyncio.timeout(60):
            return [await reader.getone() for _ in range(count)]
    finally:
        await reader.stop()


async def marked(settings: Settings) -> list[object]:
    return [row["relayed_at"] for row in await rows_of(settings, "dead_letters")]


@pytest.fixture
async def parked(relaying: Settings) -> Settings:
    """Three letters, parked by a consumer that has no relay."""
    alone = relaying.dead_letters.model_copy(update={"relay_topic": None})
    values = [video("progressed", 1, progress=101), b"\xffnot json", b""]
    headers = [("trace", b"abc"), ("odd", b"\x00\xff")]
    for value in values:
        await publish_with_headers(relaying, KEY, value, headers)
    without = relaying.model_copy(update={"dead_letters": alone})
    async with consuming(without):
        await until_applied(without)
    assert await marked(relaying) == [None, None, None]
    return relaying


async def publish_with_headers(
    settings: Settings, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    try:
        await producer.send_and_wait(topic_of(settings, "video"), value, key=key, headers=headers)
    finally:
        await producer.stop()


async def test_a_running_consumer_relays_what_it_parks_and_what_was_parked_before(parked: Settings) -> None:
    async with consuming(parked) as consumer:
        await publish(parked, topic_of(parked, "user"), [(b"key", b"one more")])
        records = await relayed(parked, 4)
        await eventually(lambda: _all_marked(parked, 4), "all are marked")
        assert consumer.metrics.registry.get_sample_value("reelsync_dead_letters_relayed_total") == 4
    assert Counter(record.key for record in records) == {KEY: 3, b"key": 1}
    first = next(record for record in records if b"progress" in record.value)
    headers = dict(first.headers)
    assert first.value == video("progressed", 1, progress=101)
    assert (headers["trace"], headers["odd"]) == (b"abc", b"\x00\xff")
    assert headers["__connect.errors.topic"].decode() == topic_of(parked, "video")
    assert headers["__connect.errors.connector.name"].decode() == parked.kafka.group_id
    assert headers["__connect.errors.stage"] == b"TRANSFORMATION"
    assert headers["__connect.errors.exception.class.name"] == b"reelsync.invalid"
    assert headers["__connect.errors.exception.message"].startswith(b"data.progress: ")
    assert headers["reelsync.error.code"] == b"invalid"
    (letter,) = [row for row in await rows_of(parked, "dead_letters") if row["reason"] == "invalid"]
    place = (headers["__connect.errors.partition"], headers["__connect.errors.offset"])
    assert place == (str(letter["partition"]).encode(), str(letter["offset"]).encode())


async def _all_marked(settings: Settings, count: int) -> bool:
    times = await marked(settings)
    return len(times) == count and None not in times


async def test_a_crash_between_sending_and_marking_sends_again_with_the_same_key(
    parked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(parked.database)
    relay = KafkaRelay(engine, parked.kafka.group_id, parked.kafka, parked.dead_letters.relay_topic or "")

    async def crash(*_arguments: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("reelsync.consumer.dead_letters.relay.mark_relayed", crash)
        with pytest.raises(ConnectionError):
            await relay.relay_some()
    assert await marked(parked) == [None, None, None]
    assert (await relay.relay_some(), await relay.relay_some()) == (3, 0)
    records = await relayed(parked, 6)
    assert Counter((record.key, record.value) for record in records) == {
        (KEY, value): 2 for value in (video("progressed", 1, progress=101), b"\xffnot json", b"")
    }
    await relay._producer.close()
    await engine.dispose()


@pytest.mark.parametrize("failure", [KafkaConnectionError(), None], ids=["error", "deadline"])
async def test_what_was_acknowledged_before_a_failure_is_not_sent_again(
    parked: Settings, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    """Otherwise brokers too slow for a round would get its letters again and again, and never those behind them."""
    engine = engine_of(parked.database)
    relay = KafkaRelay(engine, parked.kafka.group_id, parked.kafka, parked.dead_letters.relay_topic or "")
    assert await relay._producer._started()
    send, sent = KafkaRelay._send_one, []

    async def send_two(self: KafkaRelay, message: Any) -> bool:
        if len(sent) == 2:
            if failure:
                raise failure
            await asyncio.Event().wait()
        sent.append(message)
        return await send(self, message)

    with monkeypatch.context() as patch:
        patch.setattr(KafkaRelay, "_send_one", send_two)
        patch.setattr("reelsync.consumer.dead_letters.relay._SEND_SECONDS", 2.0)
        if failure:
            with pytest.raises(KafkaConnectionError):
                await relay.relay_some()
        else:
            assert await relay.relay_some() == 2
    assert sorted(time is None for time in await marked(parked)) == [False, False, True]
    assert (await relay.relay_some(), await relay.relay_some()) == (1, 0)
    assert len({record.value for record in await relayed(parked, 3)}) == 3
    await relay._producer.close()
    await engine.dispose()


class Choosy:
    """A producer whose topic is compacted: it refuses records without a key, and those too big with their headers."""

    def __init__(self, producer: AIOKafkaProducer, largest: int) -> None:
        self._producer = producer
        self._largest = largest

    async def send_and_wait(self, topic: str, value: bytes | None, *, key: bytes | None, headers: list[Any]) -> object:
        if key is None:
            raise UnknownError
        size = len(value or b"") + len(key) + sum(len(content) for _, content in headers)
        if size > self._largest:
            raise MessageSizeTooLargeError
        return await self._producer.send_and_wait(topic, value, key=key, headers=headers)


async def test_a_letter_that_the_topic_refuses_does_not_hold_up_those_behind_it(relaying: Settings) -> None:
    alone = relaying.dead_letters.model_copy(update={"relay_topic": None})
    await publish_with_headers(relaying, KEY, b"big", [("huge", b"x" * 9_000)])
    await publish_with_headers(relaying, b"k" * 9_000, b"big", [])
    await publish_with_headers(relaying, None, b"no key", [])
    await publish_with_headers(relaying, KEY, b"small", [("own", b"1")])
    without = relaying.model_copy(update={"dead_letters": alone})
    async with consuming(without):
        await until_applied(without)
    engine = engine_of(relaying.database)
    counted: list[int] = []
    topic = relaying.dead_letters.relay_topic or ""
    relay = KafkaRelay(engine, relaying.kafka.group_id, relaying.kafka, topic, counted.append)
    producer = await relay._producer._started()
    relay._producer._producer = Choosy(producer, 6_000)
    assert (await relay.relay_some(), await relay.relay_some(), counted) == (4, 0, [2])
    assert None not in await marked(relaying)
    records = {record.value: dict(record.headers) for record in await relayed(relaying, 2)}
    short = records[b""]
    assert (short["reelsync.value.omitted"], short["reelsync.headers.omitted"], "huge" in short) == (b"3", b"1", False)
    assert short["reelsync.error.code"] == b"not_json"
    assert records[b"small"]["own"] == b"1"
    await producer.stop()
    await engine.dispose()


async def test_of_several_consumers_one_relays(parked: Settings) -> None:
    engine = engine_of(parked.database)
    topic = parked.dead_letters.relay_topic or ""
    relays = [KafkaRelay(engine, parked.kafka.group_id, parked.kafka, topic) for _ in range(3)]
    assert sorted(await asyncio.gather(*(relay.relay_some() for relay in relays))) == [0, 0, 3]
    for relay in relays:
        await relay._producer.close()
    await engine.dispose()


async def test_brokers_that_are_away_hold_up_nothing_but_the_relay(relaying: Settings) -> None:
    """The relay's own clients lead nowhere, as when its topic has no leader: events go on being consumed."""
    consumer = Consumer(relaying)
    assert consumer.relay is not None
    nowhere = relaying.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    consumer.relay._producer = TopicProducer(nowhere, consumer.relay.topic)
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    for number in range(3):
        await publish(relaying, topic_of(relaying, "video"), [(KEY, b"poison"), (KEY, video("updated", 1, number + 1))])
        await until_applied(relaying)
    assert [row["version"] for row in await rows_of(relaying, "videos")] == [3]
    assert await marked(relaying) == [None, None, None]
    stop.set()
    await running


async def test_a_value_that_the_topic_does_not_take_is_relayed_without_it(
    relaying: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelsync.consumer.kafka.producer._LARGEST_BYTES", 2_000)
    await publish(relaying, topic_of(relaying, "video"), [(KEY, b"x" * 3_000)])
    async with consuming(relaying):
        (record,) = await relayed(relaying, 1)
    headers = dict(record.headers)
    assert (record.key, record.value, headers["reelsync.value.omitted"]) == (KEY, b"", b"3000")


async def test_a_topic_that_is_consumed_or_missing_is_refused(settings: Settings) -> None:
    document = settings.model_dump() | {"dead_letters": {"relay_topic": topic_of(settings, "video")}}
    with pytest.raises(ValueError, match="which REELSYNC_KAFKA__TOPICS consumes"):
        Settings.model_validate(document)
    missing = settings.dead_letters.model_copy(update={"relay_topic": "no-such-topic"})
    with pytest.raises(ReelsyncError, match="REELSYNC_DEAD_LETTERS__RELAY_TOPIC"):
        await Consumer(settings.model_copy(update={"dead_letters": missing})).check()
