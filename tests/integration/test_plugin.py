"""What the plugin tells the author of a test: why an event is no row, and that the consumer is gone."""

import asyncio
import secrets
from pathlib import Path

import pytest

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import DeadLetterSettings, Settings
from reelsync.events.publishing import OutgoingRecord
from reelsync.testing.builders import a_user, a_video, every_event
from reelsync.testing.consumer_thread import RunningConsumer, consumer_thread
from reelsync.testing.servers import Broker
from reelsync.testing.settings import settings_for
from tests.support.running import eventually, topic_of


async def test_every_event_of_the_builders_is_applied(reelsync_consumer: RunningConsumer) -> None:
    *life, erasure = every_event()
    sent = await reelsync_consumer.publish(*life)
    assert len({one.id for one in sent}) == len(sent)
    await reelsync_consumer.until_applied()
    assert await reelsync_consumer.dead_letters() == []
    (user,) = await reelsync_consumer.rows("users")
    (profile,) = await reelsync_consumer.rows("user_profiles")
    (video,) = await reelsync_consumer.rows("videos")
    assert user["id"] == profile["user_id"] == video["user_id"]
    await reelsync_consumer.publish(erasure)
    await reelsync_consumer.until_applied()
    (erased,) = await reelsync_consumer.rows("videos")
    assert (await reelsync_consumer.rows("users"), erased["user_id"], erased["title"]) == ([], None, None)


async def test_a_dead_letter_fails_the_wait_and_says_why(reelsync_consumer: RunningConsumer) -> None:
    topic = topic_of(reelsync_consumer.settings, "video")
    await reelsync_consumer.publish(OutgoingRecord(topic, b"key", b'{"type": "video.blessed"}', (), "", ""))
    with pytest.raises(AssertionError, match=r"1 records became dead letters: .* unknown_type"):
        await reelsync_consumer.until_applied()
    await reelsync_consumer.until_applied(dead_letters=True)
    (letter,) = await reelsync_consumer.dead_letters()
    assert letter["reason"] == "unknown_type"


async def test_an_erased_video_is_erased(reelsync_consumer: RunningConsumer) -> None:
    video = a_video()
    await reelsync_consumer.publish(video.created())
    await reelsync_consumer.erase("video", video.id)
    await reelsync_consumer.until_applied()
    (row,) = await reelsync_consumer.rows("videos")
    assert (row["title"], row["version"] >= 2**62) == (None, True)


async def test_topics_of_ones_own_may_have_any_number_of_partitions(
    reelsync_settings: Settings, reelsync_broker: Broker
) -> None:
    """As with servers of one's own, which docs/publishing.md invites to."""
    suffix = secrets.token_hex(4)
    topics = {f"users-{suffix}": "user", f"videos-{suffix}": "video"}
    await reelsync_broker.create_topics(dict(zip(topics, (1, 5), strict=True)))
    settings = reelsync_settings.model_copy(
        update={"kafka": reelsync_settings.kafka.model_copy(update={"topics": topics})}
    )
    users = [a_user() for _ in range(5)]
    with consumer_thread(settings) as running:
        await running.publish(*(user.created() for user in users), *(a_video(owner=user).created() for user in users))
        await running.until_applied()
        assert (len(await running.rows("users")), len(await running.rows("videos"))) == (5, 5)


async def test_a_name_conflict_that_the_consumer_mends_is_no_dead_letter(reelsync_consumer: RunningConsumer) -> None:
    first, second = a_user(), a_user()
    await reelsync_consumer.publish(first.created(username="bob"), second.created(username="bob"))
    await reelsync_consumer.until_applied(dead_letters=True)
    assert [letter["reason"] for letter in await reelsync_consumer.dead_letters()] == ["conflict"]
    await reelsync_consumer.publish(*(user.updated(username=f"bob_{n}") for n, user in enumerate((first, second))))

    async def mended() -> bool:
        return not await reelsync_consumer.dead_letters()

    await eventually(mended, "the conflict is redriven")
    await reelsync_consumer.until_applied()


async def test_a_consumer_that_stops_ends_the_wait_with_its_reason(reelsync_settings: Settings) -> None:
    """Not after a minute, with nothing but the positions that it did not reach."""
    limit = DeadLetterSettings(window_records=10, max_count=1, max_share=0.1)
    settings = reelsync_settings.model_copy(update={"dead_letters": limit})
    bad = OutgoingRecord(topic_of(settings, "video"), b"key", b"no JSON", (), "", "")
    with pytest.raises(ReelsyncError, match="dead letters"), consumer_thread(settings) as running:  # noqa: PT012
        await running.publish(*[bad] * 20)
        (outcome,) = await asyncio.gather(running.until_applied(), return_exceptions=True)
    assert isinstance(outcome, ReelsyncError)


def test_settings_of_a_test_know_nothing_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reelsync_settings: Settings
) -> None:
    """It may name the servers in production."""
    (tmp_path / ".env").write_text("REELSYNC_LOG__LEVEL=ERROR\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REELSYNC_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    topics = {"films": "video"}
    made = settings_for(bootstrap_servers="127.0.0.1:1", database_url="postgresql+asyncpg://u:p@h/d", topics=topics)
    assert (made.kafka.security_protocol, made.log.level) == ("PLAINTEXT", "INFO")
    assert reelsync_settings.kafka.group_id != made.kafka.group_id


def test_without_asyncio_it_runs_each_to_its_end(reelsync_consumer: RunningConsumer) -> None:
    reelsync_consumer.run(reelsync_consumer.publish(a_user().created()))
    reelsync_consumer.run(reelsync_consumer.until_applied())
    assert len(reelsync_consumer.run(reelsync_consumer.rows("users"))) == 1
