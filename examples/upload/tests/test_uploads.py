"""What the service does becomes rows, and what it did not do is not told."""

import asyncio
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from examples.upload.relay import relay, waiting
from examples.upload.tables import Outbox, Video
from examples.upload.uploads import NoSuchVideoError, Uploads
from reelsync.events import parse_event
from reelsync.events.publishing import uuid7
from reelsync.testing.builders import a_user
from reelsync.testing.consumer_thread import RunningConsumer


async def test_a_video_is_what_happened_to_it(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    owner = a_user()
    await reelsync_consumer.publish(owner.created(username="amber_badger"))
    video_id = await uploads.upload(UUID(owner.id), "A tour", "Two minutes by boat.")
    await uploads.rename(video_id, "A tour of the harbour")
    await uploads.finish(video_id, url="https://cdn.example.com/tour.mp4", seconds=93.5, took=41.2, size=48_211_002)
    assert await uploads.place_of(video_id) is None
    assert await relay(engine, producer) == 3
    assert await waiting(engine) == 0
    place = await uploads.place_of(video_id)
    assert place is not None
    assert (place.count("/"), place.endswith("/2")) == (2, True)
    await reelsync_consumer.until_applied()
    (video,) = await reelsync_consumer.rows("videos")
    assert (video["title"], video["description"]) == ("A tour of the harbour", "Two minutes by boat.")
    assert (video["status"], video["file_size"], video["version"]) == ("completed", 48_211_002, 3)
    (user,) = await reelsync_consumer.rows("users")
    assert (user["id"], user["username"]) == (video["user_id"], "amber_badger")


async def test_an_erased_video_is_gone_in_both_databases(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    video_id = await uploads.upload(uuid7(), "A tour")
    await uploads.erase(video_id)
    await relay(engine, producer)
    await reelsync_consumer.until_applied()
    (video,) = await reelsync_consumer.rows("videos")
    assert (video["title"], video["user_id"]) == (None, None)
    with pytest.raises(NoSuchVideoError):
        await uploads.rename(video_id, "Too late")


async def test_a_change_that_is_rolled_back_is_not_told(uploads: Uploads, engine: AsyncEngine) -> None:
    """A title that the contract refuses changes nothing: neither the video nor the outbox."""
    video_id = await uploads.upload(uuid7(), "A tour")
    with pytest.raises(ValueError, match="title"):
        await uploads.rename(video_id, "x" * 201)
    assert await waiting(engine) == 1
    async with engine.connect() as connection:
        assert (await connection.execute(select(Video.title, Video.version))).one() == ("A tour", 1)


async def test_changes_at_the_same_time_have_versions_in_the_order_of_the_outbox(
    uploads: Uploads, engine: AsyncEngine, producer: AIOKafkaProducer, reelsync_consumer: RunningConsumer
) -> None:
    video_id = await uploads.upload(uuid7(), "Version 1")
    await asyncio.gather(*[uploads.rename(video_id, f"Renamed {number}") for number in range(30)])
    async with engine.connect() as connection:
        values = (await connection.scalars(select(Outbox.value).order_by(Outbox.position))).all()
        title = await connection.scalar(select(Video.title))
    assert [parse_event(value or b"")["data"]["version"] for value in values] == list(range(1, 32))
    assert await relay(engine, producer) == 31
    await reelsync_consumer.until_applied()
    (video,) = await reelsync_consumer.rows("videos")
    assert (video["title"], video["version"]) == (title, 31)
