"""Topics that Debezium fills are consumed beside native ones: rows, dead letters, and conflicts that time mends."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.settings import Settings
from tests.services.contract import Broker
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.roles import roles_of
from tests.support.row_changes import captured_records, envelope, key_of, user_row
from tests.support.running import consuming, eventually, publish, rows_of, tables_of, topic_of, until_applied


@pytest.fixture
async def topics(broker: Broker) -> dict[str, Any]:
    """Native topics, and the captured ones of the settings advised; names of the test's own."""
    suffix = secrets.token_hex(4)
    row_changes = {"format": "debezium", "version": "row_version"}
    told = {
        f"video-{suffix}": "video",
        f"user-{suffix}": "user",
        f"model-usage-{suffix}": "model_usage",
        f"studio.public.users-{suffix}": row_changes | {"aggregate": "user"},
        f"studio.public.videos-{suffix}": row_changes | {"aggregate": "video"},
        f"outbox.event.user-{suffix}": {"format": "outbox", "aggregate": "user"},
        f"outbox.event.video-{suffix}": {"format": "outbox", "aggregate": "video"},
    }
    await broker.create_topics(dict.fromkeys(told, 3))
    return told


def captured_topic(settings: Settings, name: str) -> str:
    return next(topic for topic in settings.kafka.topics if topic.startswith(f"{name}-"))


async def publish_captured(settings: Settings, *names: str) -> int:
    """Send the captured records of these topics, headers and all."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, acks="all")
    await producer.start()
    records = [found for found in captured_records() if found.topic in names]
    try:
        for found in records:
            topic = captured_topic(settings, found.topic)
            options = {"key": found.key, "headers": found.headers, "timestamp_ms": found.timestamp}
            await producer.send_and_wait(topic, found.value, **options)
    finally:
        await producer.stop()
    return len(records)


async def test_row_changes_outbox_rows_and_events_become_rows_together(settings: Settings) -> None:
    names = ("studio.public.users", "studio.public.videos", "outbox.event.user")
    sent = await publish_captured(settings, *names)
    await publish(settings, topic_of(settings, "video"), [(an_id(1).encode(), video("completed", owner=3))])
    broken = captured_topic(settings, "studio.public.videos")
    await publish(settings, broken, [(key_of(an_id(2)), b'{"op":"t","source":{}}')])
    async with consuming(settings) as consumer:
        await until_applied(settings)
        count = consumer.metrics.registry.get_sample_value
        assert count("reelsync_events_total", {"event_type": "video.row_changed", "outcome": "accepted"}) == 7
        assert count("reelsync_events_total", {"event_type": "user.row_tombstone", "outcome": "accepted"}) == 2
        report = await run_verification(settings, 0)
        assert (report.records, report.findings) == (sent + 2, []), "the oracle hears row changes too"
    users = {row["username"]: row for row in await rows_of(settings, "users") if row["version"]}
    assert {name: row["is_deleted"] for name, row in users.items()} == {
        "ada": True,
        "eve": False,
        "bob": True,
        None: True,
    }
    assert users["ada"]["preferences"] == {"theme": "light", "ratio": 1.5}, "version 3 came by the outbox"
    videos = {row["title"]: row for row in await rows_of(settings, "videos") if not row["is_deleted"]}
    assert {(title, row["status"]) for title, row in videos.items()} == {
        (None, "completed"),
        ("Snapshotted", "pending"),
    }
    letters = await rows_of(settings, "dead_letters")
    assert [(row["topic"], row["reason"], str(row["aggregate_id"])) for row in letters] == [
        (broken, "invalid", an_id(2))
    ]
    assert sent == 22


async def test_a_rebuild_brings_back_what_the_captured_log_says(
    settings: Settings, operator_url: str, operator: AsyncConnection
) -> None:
    await publish_captured(settings, "studio.public.users", "studio.public.videos")
    async with consuming(settings):
        await until_applied(settings)
    before = await tables_of(settings)
    await operator.execute(text("UPDATE videos SET title = 'x', progress = 1"))
    await operator.execute(text("DELETE FROM user_profiles"))
    url = roles_of(operator_url, database=str(make_url(operator_url).database)).migrate_url
    migrating = settings.model_copy(update={"database": settings.database.model_copy(update={"url": SecretStr(url)})})
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--json")
    assert done.returncode == 0, done.stderr
    assert await tables_of(settings) == before


async def test_a_name_that_a_row_change_takes_too_early_is_given_when_it_is_free(settings: Settings) -> None:
    settings = settings.model_copy(
        update={"dead_letters": settings.dead_letters.model_copy(update={"redrive_min_seconds": 0.05})}
    )
    topic = captured_topic(settings, "studio.public.users")

    async def change(number: int, name: str, version: int) -> None:
        row = user_row(number, username=name, email=f"{name}@example.com", row_version=version)
        await publish(settings, topic, [(key_of(row["id"]), envelope("u", row))])

    async def names() -> dict[str, object]:
        return {str(row["id"]): row["username"] for row in await rows_of(settings, "users")}

    async def states() -> list[object]:
        return [(row["reason"], row["event_type"], row["state"]) for row in await rows_of(settings, "dead_letters")]

    async def is_parked() -> bool:
        return await states() == [("conflict", "user.row_changed", "parked")]

    async def is_mended() -> bool:
        return await names() == {an_id(1001): "alice", an_id(1002): "bob"}

    await change(1, "bob", 1)
    async with consuming(settings):
        await until_applied(settings)
        await change(2, "bob", 1)
        await eventually(is_parked, "the conflict is parked")
        await change(1, "alice", 2)
        await eventually(is_mended, "bob's name goes to the second user")
        await until_applied(settings)
    assert json.loads(json.dumps(await states())) == [["conflict", "user.row_changed", "redriven"]]


async def test_an_erasure_blanks_the_letters_of_a_row_whose_key_is_a_struct(settings: Settings) -> None:
    topic = captured_topic(settings, "studio.public.users")
    row = user_row(4, row_version=1)
    refused = envelope("u", user_row(4, row_version=2, username="no good"))
    await publish(settings, topic, [(key_of(row["id"]), envelope("c", row)), (key_of(row["id"]), refused)])
    async with consuming(settings):
        await until_applied(settings)
        assert [row["value"] for row in await rows_of(settings, "dead_letters")] == [refused]
        await publish(settings, topic_of(settings, "user"), [(an_id(1004).encode(), None)])
        await until_applied(settings)
    assert [row["value"] for row in await rows_of(settings, "dead_letters")] == [None]
