"""The database goes away, refuses, or is slow: the consumer waits or works around it, and applies each record once."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.app import Consumer
from reelsync.consumer.errors import HaltedError
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.integration.test_restarts import RECORDS, assert_each_applied_once, poison_and_videos
from tests.support.builders import an_id, user, video
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied


def changed(settings: Settings, section: str, **values: object) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


async def retries(consumer: object, reason: str) -> float:
    value = consumer.metrics.registry.get_sample_value("reelsync_retries_total", {"reason": reason})
    return value or 0.0


async def test_a_crash_of_postgresql_in_full_flow_loses_and_doubles_nothing(
    settings: Settings, postgres: EmbeddedPostgres
) -> None:
    busy = changed(settings, "batch", max_records=40)
    await publish(settings, topic_of(settings, "video"), poison_and_videos(0, RECORDS))
    async with consuming(busy) as consumer:

        async def under_way() -> bool:
            return sum(consumer.source.positions.values()) > 200

        await eventually(under_way, "consuming")
        postgres.restart("immediate")
        await until_applied(settings)
        assert await retries(consumer, "outage") > 0
    await assert_each_applied_once(settings, RECORDS)


async def test_terminated_connections_lose_and_double_nothing(settings: Settings, operator: AsyncConnection) -> None:
    busy = changed(settings, "batch", max_records=40)
    await publish(settings, topic_of(settings, "video"), poison_and_videos(0, RECORDS))
    kill = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'reelsync' AND pid <> pg_backend_pid()"
    )
    async with consuming(busy) as consumer:
        killed = 0

        async def applied_while_killing() -> bool:
            nonlocal killed
            killed += (await operator.execute(kill)).scalar_one()
            return await retries(consumer, "outage") >= 5

        await eventually(applied_while_killing, "five transactions were lost")
        await until_applied(settings)
        assert killed >= 5
    await assert_each_applied_once(settings, RECORDS)


async def test_a_commit_whose_reply_is_lost_counts_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third COMMIT is done and then looks like a broken connection, as when the reply is lost on the way."""
    busy = changed(settings, "batch", max_records=40)
    commits = 0
    commit = AsyncConnection.commit

    async def commit_and_lose_the_reply(connection: AsyncConnection) -> None:
        nonlocal commits
        await commit(connection)
        commits += 1
        if commits % 3 == 0:
            raise ConnectionResetError

    monkeypatch.setattr(AsyncConnection, "commit", commit_and_lose_the_reply)
    await publish(settings, topic_of(settings, "video"), poison_and_videos(0, 1_000))
    async with consuming(busy) as consumer:
        await until_applied(settings)
        assert await retries(consumer, "outage") >= 5
        assert not consumer.metrics.registry.get_sample_value("reelsync_fenced_total")
    await assert_each_applied_once(settings, 1_000)


async def test_a_lock_that_somebody_holds_is_waited_for(settings: Settings, operator: AsyncConnection) -> None:
    impatient = changed(settings, "database", lock_timeout=0.2)
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
    async with consuming(settings):
        await until_applied(settings)
    await operator.execute(text("BEGIN"))
    await operator.execute(text("SELECT * FROM videos FOR UPDATE"))
    await publish(
        settings, topic_of(settings, "video"), [(an_id(1).encode(), video("updated", version=2, title="new"))]
    )
    async with consuming(impatient) as consumer:

        async def refused() -> bool:
            return await retries(consumer, "again") > 0

        await eventually(refused, "the lock timed out")
        await operator.execute(text("COMMIT"))
        await until_applied(settings)
    assert [row["title"] for row in await rows_of(settings, "videos")] == ["new"]


async def test_a_member_that_polls_nothing_while_it_waits_for_the_database_stays_in_its_group(
    settings: Settings, operator: AsyncConnection
) -> None:
    """Its batch is full, and the latest poll was a day ago, as far as aiokafka knows."""
    topic = topic_of(settings, "video")
    small = changed(changed(settings, "batch", max_records=10), "database", lock_timeout=0.2)
    await publish(settings, topic, poison_and_videos(0, 100))
    async with consuming(small) as consumer:
        await until_applied(settings)
        await operator.execute(text("BEGIN"))
        await operator.execute(text("SELECT * FROM consumer_offsets FOR UPDATE"))
        await publish(settings, topic, poison_and_videos(100, 100))

        async def polls_nothing() -> bool:
            return await retries(consumer, "again") > 0 and consumer.loop._polling is None

        await eventually(polls_nothing, "the batch is full and waits")
        member = consumer.source._consumer
        heartbeats = counted_calls(member._coordinator, "_do_heartbeat")
        epoch = consumer.source.epoch
        member._subscription._last_fetch_ended -= 86_400

        async def is_seen_by_the_group() -> bool:
            return heartbeats.total() >= 3

        await eventually(is_seen_by_the_group, "heartbeats")
        assert member._subscription.fetcher_idle_time > 80_000
        await operator.execute(text("COMMIT"))
        await until_applied(settings)
        assert (consumer.source.epoch, consumer.source._consumer) == (epoch, member), "it never left"
    await assert_each_applied_once(settings, 200)


def counted_calls(whole: Any, name: str) -> Counter[str]:
    """Counts the calls of a coroutine method from now on."""
    calls: Counter[str] = Counter()
    method = getattr(whole, name)

    async def counting(*arguments: Any) -> Any:
        calls[name] += 1
        return await method(*arguments)

    setattr(whole, name, counting)
    return calls


async def test_a_batch_that_takes_too_long_is_halved(settings: Settings, operator: AsyncConnection) -> None:
    """A trigger makes each row cost time, so that a whole batch cannot finish within the timeout, and halves can."""
    await operator.execute(
        text(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END'"
        )
    )
    await operator.execute(text("CREATE TRIGGER dawdle BEFORE INSERT ON videos FOR EACH ROW EXECUTE FUNCTION dawdle()"))
    hurried = changed(settings, "database", statement_timeout=0.5)
    await publish(settings, topic_of(settings, "video"), [(b"one key", video("created", n)) for n in range(200)])
    async with consuming(hurried) as consumer:
        await until_applied(settings)
        assert await retries(consumer, "halve") > 0
    assert len(await rows_of(settings, "videos")) == 200
    assert not await rows_of(settings, "dead_letters")


async def test_what_the_database_refuses_is_parked_alone(settings: Settings, operator: AsyncConnection) -> None:
    await operator.execute(text("ALTER TABLE videos ADD CONSTRAINT ck_videos_taste CHECK (title NOT LIKE 'bad%')"))
    bad = {3, 77, 78, 150}
    events = [video("created", n, title="bad taste" if n in bad else "good") for n in range(200)]
    await publish(settings, topic_of(settings, "video"), [(b"one key", value) for value in events])
    async with consuming(settings) as consumer:
        await until_applied(settings)
        accepted = consumer.metrics.registry.get_sample_value(
            "reelsync_events_total", {"event_type": "video.created", "outcome": "accepted"}
        )
    letters = await rows_of(settings, "dead_letters", order='"offset"')
    assert [letter["offset"] for letter in letters] == sorted(bad)
    assert {(letter["reason"], letter["stage"]) for letter in letters} == {("refused", "write")}
    assert letters[0]["detail"] == {"sqlstate": "23514", "constraint": "ck_videos_taste"}
    assert accepted == len(await rows_of(settings, "videos")) == 196


async def test_a_wrong_schema_stops_the_consumer_and_loses_nothing(
    settings: Settings, operator: AsyncConnection
) -> None:
    await operator.execute(text("ALTER TABLE videos RENAME COLUMN title TO heading"))
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("created"))])
    with pytest.raises(HaltedError, match="42703"):
        await asyncio.wait_for(Consumer(settings).run(asyncio.Event()), 60)
    await operator.execute(text("ALTER TABLE videos RENAME COLUMN heading TO title"))
    async with consuming(settings):
        await until_applied(settings)
    assert [row["title"] for row in await rows_of(settings, "videos")] == ["Video 1"]


async def test_too_many_dead_letters_stop_the_consumer_before_they_are_written(settings: Settings) -> None:
    strict = changed(settings, "dead_letters", window_records=1_000, max_count=50, max_share=0.5)
    await publish(settings, topic_of(settings, "video"), [(b"key", b"from a bad deploy")] * 200)
    with pytest.raises(HaltedError, match="bad deployment"):
        await asyncio.wait_for(Consumer(strict).run(asyncio.Event()), 60)
    assert len(await rows_of(settings, "dead_letters")) < 50


async def test_too_many_refusals_of_the_database_stop_the_consumer(
    settings: Settings, operator: AsyncConnection
) -> None:
    await operator.execute(text("ALTER TABLE videos ADD CONSTRAINT ck_videos_taste CHECK (title NOT LIKE 'bad%')"))
    strict = changed(changed(settings, "dead_letters", max_count=20, window_records=1_000), "batch", max_records=40)
    events = [(b"one key", video("created", n, title="bad taste")) for n in range(200)]
    await publish(settings, topic_of(settings, "video"), events)
    with pytest.raises(HaltedError, match="bad deployment"):
        await asyncio.wait_for(Consumer(strict).run(asyncio.Event()), 60)
    assert len(await rows_of(settings, "dead_letters")) < 200


async def test_a_name_conflict_is_redriven_by_itself(settings: Settings) -> None:
    topic = topic_of(settings, "user")
    hasty = changed(settings, "dead_letters", redrive_min_seconds=0.05)
    await publish(
        settings,
        topic,
        [(b"u", user("created", 1, username="bob")), (b"u", user("created", 2, username="bob", email="b@x"))],
    )
    async with consuming(hasty):
        await until_applied(settings)

        async def parked() -> bool:
            return [row["reason"] for row in await rows_of(settings, "dead_letters")] == ["conflict"]

        await eventually(parked, "the second bob is parked")
        await publish(settings, topic, [(b"u", user("updated", 1, version=2, username="rob"))])

        async def redriven() -> bool:
            return {row["username"] for row in await rows_of(settings, "users")} == {"bob", "rob"}

        await eventually(redriven, "both have their names")
    assert [row["state"] for row in await rows_of(settings, "dead_letters")] == ["redriven"]
