"""Whoever published waits until the rows say so, and is told the truth: by the primary, and by a standby."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Message, Producer
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from reelsync.consumer.settings import Settings
from reelsync.events import VideoCreated
from reelsync.events.publishing import AIOKAFKA_OPTIONS, CONFLUENT_OPTIONS, Publisher
from reelsync.models import (
    Outcome,
    Place,
    SessionFactory,
    User,
    Video,
    create_engine,
    create_session_factory,
    get_pool_stats,
    get_session,
    wait_until_applied,
    wait_until_applied_blocking,
)
from reelsync.models.waiting import LOOK
from tests.letters.commanding import run_inside
from tests.support.builders import an_id, video
from tests.support.roles import TEST_SCHEMA, roles_of
from tests.support.running import consuming, eventually, publish, topic_of, until_applied
from tests.support.standby import following

SECONDS = 60.0


def _first(_key: object, partitions: list[int], _available: object) -> int:
    """A partitioner: all records are in the first partition."""
    return min(partitions)


class Reading(NamedTuple):
    engine: AsyncEngine
    sessions: SessionFactory

    async def outcome(self, sent: Any, settings: Settings, seconds: float = SECONDS) -> Outcome:
        async with get_session(self.sessions) as session:
            return await wait_until_applied(session, sent, timeout=seconds, group=settings.kafka.group_id)


@pytest.fixture
async def reading(operator_url: str) -> AsyncIterator[Reading]:
    """In the role that may only read."""
    engine = create_engine(roles_of(operator_url, database=str(make_url(operator_url).database)).read_url)
    yield Reading(engine, create_session_factory(engine))
    await engine.dispose()


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, **AIOKAFKA_OPTIONS) as producer:
        yield producer


async def test_what_each_client_returns_is_waited_for(
    settings: Settings, reading: Reading, producer: AIOKafkaProducer
) -> None:
    topic = topic_of(settings, "video")
    publisher = Publisher(producer, source="/tests", topics={"video": topic})
    created = VideoCreated(video_id=an_id(1), user_id=an_id(1001), version=1, title="Mine")
    messages: list[Message] = []
    confluent = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, **CONFLUENT_OPTIONS})
    async with consuming(settings):
        by_publisher = await publisher.send(created)
        by_aiokafka = await producer.send_and_wait(topic, video("progressed", 2, progress=7), key=b"2")
        confluent.produce(topic, b"poison", b"3", on_delivery=lambda _error, message: messages.append(message))
        await asyncio.to_thread(confluent.flush)
        assert await reading.outcome(by_publisher, settings) == Outcome("applied")
        assert await reading.outcome(by_aiokafka, settings)
        assert await reading.outcome(messages[0], settings) == Outcome("dead letter", "not_json")
        assert not await reading.outcome(messages[0], settings)
        by_text = Place.parse(str(Place.of(by_publisher)))
        assert await reading.outcome(by_text, settings)
        async with get_session(reading.sessions) as session:
            assert await session.scalar(select(Video.title).where(Video.id == UUID(an_id(1)))) == "Mine"
        async with get_session(reading.sessions) as session:
            assert await session.run_sync(wait_until_applied_blocking, by_text, group=settings.kafka.group_id)
        nowhere = by_text._replace(offset=by_text.offset + 1_000)
        assert await reading.outcome(nowhere, settings, 0.05) == Outcome("timed out")
        assert await reading.outcome(nowhere, settings, 0) == Outcome("timed out")


async def test_what_the_group_never_read_is_not_applied(settings: Settings, reading: Reading) -> None:
    """What stood there before a start at the end, and what a reset leaves out: the position is past it all the same."""
    topic = topic_of(settings, "video")
    places = [Place(topic, 0, offset) for offset in range(7)]
    await publish(settings, topic, [(b"", video("created", number)) for number in range(2)], partitioner=_first)
    latest = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"start_from": "latest"})})
    async with consuming(latest) as consumer:

        async def has_begun() -> bool:
            return consumer.source.settled

        await eventually(has_begun, "it begins at the end")
        await publish(settings, topic, [(b"", video("created", 2))], partitioner=_first)
        await until_applied(settings)
    await publish(settings, topic, [(b"", video("created", number)) for number in range(3, 6)], partitioner=_first)
    assert (await run_inside(settings, "offsets", "reset", topic, "0", "--to", "5", "--force", "--yes")).returncode == 0
    async with consuming(settings):
        assert await reading.outcome(places[5], settings)
    outcomes = [bool(await reading.outcome(place, settings, 0)) for place in places]
    assert outcomes == [False, False, False, False, False, True, False]
    assert await _titles(reading) == [f"Video {number}" for number in (2, 5)]


async def test_positions_that_an_earlier_release_stored_cover_what_comes(
    settings: Settings, reading: Reading, operator: AsyncConnection
) -> None:
    topic = topic_of(settings, "video")
    for number in range(2):
        await publish(settings, topic, [(b"", video("created", number))], partitioner=_first)
        async with consuming(settings):
            await until_applied(settings)
        if not number:
            await operator.execute(text("UPDATE consumer_offsets SET read_from = NULL"))
    outcomes = [bool(await reading.outcome(Place(topic, 0, offset), settings, 0)) for offset in range(2)]
    assert outcomes == [False, True]


async def test_a_letter_that_was_redriven_is_applied_and_one_of_an_older_topic_counts(
    settings: Settings, reading: Reading, operator: AsyncConnection
) -> None:
    place = Place("some", 0, 5)
    group = settings.kafka.group_id
    position = "INSERT INTO consumer_offsets (consumer_group, topic, partition, next_offset, read_from)"
    await operator.execute(text(f"{position} VALUES ('{group}', 'some', 0, 6, 0), ('other', 'some', 0, 99, 0)"))
    assert await reading.outcome(place, settings, 0)
    await _park(operator, group, "(5, 1, 'conflict'), (5, 2, 'refused')")
    assert (await reading.outcome(place, settings, 0)).reason == "refused"
    await operator.execute(text("UPDATE dead_letters SET state = 'redriven' WHERE crc = 2"))
    assert (await reading.outcome(place, settings, 0)).reason == "conflict"
    await operator.execute(text("UPDATE dead_letters SET state = 'discarded' WHERE crc = 1"))
    assert (await reading.outcome(place, settings, 0)).state == "dead letter"
    await operator.execute(text("UPDATE dead_letters SET state = 'redriven'"))
    assert await reading.outcome(place, settings, 0)
    assert (await reading.outcome(place._replace(offset=6), settings, 0)).state == "timed out"


async def test_one_look_reads_two_indexes(settings: Settings, operator: AsyncConnection) -> None:
    await _park(operator, settings.kafka.group_id, "SELECT n, 1, 'invalid' FROM generate_series(1, 20000) AS n")
    await operator.execute(text("ANALYZE dead_letters"))
    values = {"group": settings.kafka.group_id, "topic": "some", "partition": 0, "offset": 5}
    compiled = LOOK.compile(dialect=operator.dialect, compile_kwargs={"render_postcompile": True})
    parameters = tuple(values.get(name, compiled.params[name]) for name in compiled.positiontup or ())
    plan = "\n".join((await operator.exec_driver_sql(f"EXPLAIN {compiled}", parameters)).scalars())
    assert "pk_dead_letters" in plan, plan
    assert "Seq Scan on dead_letters" not in plan, plan


async def test_no_connection_is_held_while_waiting(settings: Settings, database: str) -> None:
    engine = create_engine(database, pool_size=1, max_overflow=0, search_path=TEST_SCHEMA)
    reading = Reading(engine, create_session_factory(engine))
    waiting = [asyncio.create_task(reading.outcome(Place("none", 0, 0), settings)) for _ in range(20)]

    async def all_pause() -> bool:
        stats = get_pool_stats(engine)
        return (stats.size, stats.checked_out) == (1, 0)

    await eventually(all_pause, "the only connection is free")
    assert await _titles(reading) == []
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await engine.dispose()


async def test_a_session_in_a_transaction_is_not_ended(reading: Reading) -> None:
    async with get_session(reading.sessions) as session:
        await session.scalars(select(User))
        with pytest.raises(RuntimeError, match="commit or roll back"):
            await wait_until_applied(session, Place("none", 0, 0))
        await session.rollback()
        session.add(User(id=UUID(an_id(1))))
        with pytest.raises(RuntimeError, match="commit or roll back"):
            await wait_until_applied(session, Place("none", 0, 0))


async def test_objects_that_were_loaded_before_are_read_anew(settings: Settings, database: str) -> None:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    topic = topic_of(settings, "video")
    first = select(Video).where(Video.id == UUID(an_id(1)))
    async with consuming(settings), get_session(create_session_factory(engine)) as session:
        for version, title in enumerate(("Old", "New"), start=1):
            await publish(settings, topic, [(b"", video("updated", version=version, title=title))], partitioner=_first)
            place = Place(topic, 0, version - 1)
            assert await wait_until_applied(session, place, timeout=SECONDS, group=settings.kafka.group_id)
            found = (await session.scalars(first)).one()
            assert found.title == title
            await session.commit()
    await engine.dispose()


async def test_a_standby_says_what_it_has(
    settings: Settings, reading: Reading, producer: AIOKafkaProducer, operator_url: str
) -> None:
    topic, name = topic_of(settings, "video"), str(make_url(operator_url).database)
    await producer.send_and_wait(topic, video("created", 1), key=b"1")
    async with following(operator_url) as standby, consuming(settings):
        behind = Reading(create_engine(roles_of(standby, database=name).read_url), reading.sessions)
        behind = behind._replace(sessions=create_session_factory(behind.engine))
        admin = create_async_engine(standby, isolation_level="AUTOCOMMIT")
        async with admin.connect() as replaying:
            await replaying.execute(text("SELECT pg_wal_replay_pause()"))
            sent = await producer.send_and_wait(topic, video("created", 2), key=b"2")
            assert await reading.outcome(sent, settings)
            assert (await behind.outcome(sent, settings, 0.2)).state == "timed out"
            assert "Video 2" not in await _titles(behind)
            await replaying.execute(text("SELECT pg_wal_replay_resume()"))
        assert await behind.outcome(sent, settings)
        assert "Video 2" in await _titles(behind)
        await admin.dispose()
        await behind.engine.dispose()


async def _park(operator: AsyncConnection, group: str, letters: str) -> None:
    """Letters of one partition. Each is (offset, checksum, reason)."""
    rows = letters if letters.startswith("SELECT") else f"VALUES {letters}"
    columns = 'consumer_group, topic, partition, "offset", record_timestamp, crc, stage, reason'
    values = f"'{group}', 'some', 0, place, row_number() OVER (), crc, 'write', reason"
    await operator.execute(
        text(f"INSERT INTO dead_letters ({columns}) SELECT {values} FROM ({rows}) AS l (place, crc, reason)")
    )


async def _titles(reading: Reading) -> list[str | None]:
    async with get_session(reading.sessions) as session:
        return sorted(title or "" for title in await session.scalars(select(Video.title)))
