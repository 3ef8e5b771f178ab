"""No statement that is sent is `other`: not by a consumer, a command, a reader or a writing service."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, select
from typer.testing import CliRunner

from reelsync.consumer.app import Consumer
from reelsync.consumer.cli import app
from reelsync.consumer.settings import Settings
from reelsync.consumer.timing.query_names import OTHER, QUERIES
from reelsync.models import (
    ConsumerOffset,
    ModelUsage,
    NewVideo,
    User,
    UserProfile,
    Video,
    bulk_delete,
    bulk_insert,
    bulk_soft_delete,
    bulk_update,
    create_user_with_videos,
    queries,
)
from tests.queries.cases import CASES, Sample
from tests.queries.reader import reading, run
from tests.support.builders import an_id, usage, user, video
from tests.support.erasing import erased
from tests.support.processes import environment
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

OPERATORS = ("count", "list", "show", "turn", "close", "correct", "purge")
SAVEPOINTS = ("SAVEPOINT", "RELEASE", "ROLLBACK TO")


@contextmanager
def names_sent() -> Iterator[Counter[str]]:
    """The names of all statements that this process sends, on any engine; without a declared one, the statement."""
    sent: Counter[str] = Counter()

    def note(_connection: Any, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        name = context.execution_options.get("query_name", OTHER)
        sent[name if name in QUERIES and name != OTHER else sql] += 1

    event.listen(Engine, "after_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "after_cursor_execute", note)


def unnamed(sent: Counter[str]) -> list[str]:
    """Statements without a name, but for savepoints."""
    return [name for name in sent if name not in QUERIES and not name.startswith(SAVEPOINTS)]


async def test_no_statement_of_the_consumer_is_other(settings: Settings) -> None:
    """Events of each kind, dead letters, an erasure, references, bisection, names in conflict and their redrive."""
    video_topic, user_topic = topic_of(settings, "video"), topic_of(settings, "user")
    with names_sent() as sent:
        await publish(settings, user_topic, [(an_id(1001).encode(), user("created")), (b"?", b"not json")])
        await publish(settings, video_topic, [(an_id(1).encode(), video("created")), (an_id(1).encode(), None)])
        await publish(settings, topic_of(settings, "model_usage"), [(an_id(2).encode(), usage(1, 2, owner=5))])
        consumer = Consumer(settings.model_copy(update={"http": settings.http.model_copy(update={"port": 0})}))
        await consumer.check()
        stop = asyncio.Event()
        async with consumer.monitor.serving():
            running = asyncio.create_task(consumer.run(stop))
            await until_applied(settings)
            # Somebody takes a name that another gives up, and that other event is late.
            taken = [user("created", 2), user("updated", 2, 2, username="user_1")]
            await publish(settings, user_topic, [(an_id(1002).encode(), event) for event in taken])
            await until_applied(settings)
            renamed = user("updated", 1, 2, username="renamed", email="renamed@example.com")
            await publish(settings, user_topic, [(an_id(1001).encode(), renamed), (b"e", erased(5).value)])

            async def redriven() -> bool:
                return "redriven" in {row["state"] for row in await rows_of(settings, "dead_letters")}

            await eventually(redriven, "the conflict is redriven")
            await until_applied(settings)
            stop.set()
            await running
    assert not [statement for statement in unnamed(sent) if not statement.startswith("SELECT * FROM")], "ours do not"
    assert {name for name in QUERIES if name.startswith(("offsets.", "redrive.", "dead_letters.", "erasure."))} - set(
        sent
    ) == {
        "erasure.count",
        "offsets.adopt",
        "offsets.reset",
        *(f"dead_letters.{action}" for action in ("insert", "update", "delete", *OPERATORS, "relay_turn", "relayed")),
    }
    assert {"users.merge", "videos.merge", "model_usage.merge", "users.known", "videos.known", "schema.read"} <= set(
        sent
    )


async def test_no_statement_of_the_command_is_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish(settings, topic_of(settings, "video"), [(b"?", b"not json"), (an_id(1).encode(), video("created"))])
    async with consuming(settings):
        await until_applied(settings)
    letter = (await rows_of(settings, "dead_letters"))[0]
    place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
    reset = ["offsets", "reset", str(letter["topic"]), str(letter["partition"]), "--to", "earliest", "--force"]
    for name, value in environment(settings).items():
        if name.startswith("REELSYNC_"):
            monkeypatch.setenv(name, value)
    with names_sent() as sent:
        letters = (["list"], ["list", "--count"], ["show", place], ["discard", place, "--because", "why"])
        letters += (["restore", place], ["redrive", place, "--dry-run"])
        shown = (["check"], ["lag"], ["offsets", "show"], *(["dlq", *letter] for letter in letters))
        for command in (*shown, ["verify"], ["trace", an_id(1)], reset):
            done = await asyncio.to_thread(CliRunner().invoke, app, [*command, "--json"])
            assert done.exit_code == 0, done.output
        redriven = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", "redrive", place])
        assert redriven.exit_code == 1, redriven.output
    assert not unnamed(sent)
    operators = {f"dead_letters.{action}" for action in OPERATORS} - {"dead_letters.correct", "dead_letters.purge"}
    assert {"schema.read", "offsets.list", "offsets.reset", "verify", "trace.rows", *operators} <= set(sent)


async def test_offsets_show_reads_the_positions_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings).items():
        if name.startswith("REELSYNC_"):
            monkeypatch.setenv(name, value)
    with names_sent() as sent:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["offsets", "show", "--json"])
    assert (done.exit_code, sent) == (0, {"offsets.list": 1}), done.output


async def test_no_statement_of_a_reader_is_other(operator_url: str) -> None:
    async with reading(operator_url) as reader:
        async with reader.session() as session:
            made = await create_user_with_videos(
                session, username="ada", email="ada@example.com", videos=[NewVideo(title="One")]
            )
            sample = Sample([made.id], made.videos[0].id, queries.VideoPosition.of(made.videos[0]))
        for case in CASES:
            with names_sent() as sent:
                async with reader.session() as session:
                    await run(session, case, sample)
            name = "users_by_ids" if case.query == "fetch_page" else case.query
            assert sent == {f"queries.{name}": case.statements}


async def test_a_page_of_a_statement_without_a_name_has_one(operator_url: str) -> None:
    async with reading(operator_url) as reader, reader.session() as session:
        with names_sent() as sent:
            await queries.fetch_page(session, select(User).order_by(User.id), limit=5)
    assert sent == {"queries.fetch_page": 2}


async def test_no_statement_of_a_writing_service_is_other(operator_url: str) -> None:
    owner, key, used_at = UUID(an_id(1001)), UUID(an_id(1)), datetime(2026, 1, 5, tzinfo=UTC)
    fact = {"id": uuid4(), "video_id": key, "user_id": owner, "model_name": "m", "used_at": used_at}
    async with reading(operator_url) as reader, reader.session() as session:
        with names_sent() as sent:
            await create_user_with_videos(
                session, username="ada", email="ada@example.com", user_id=owner, videos=[NewVideo(title="One", id=key)]
            )
            await bulk_insert(session, UserProfile, [{"user_id": owner, "full_name": "Ada"}])
            await bulk_soft_delete(session, Video, {key: 2})
            await bulk_insert(session, ModelUsage, [fact])
            await bulk_update(session, ModelUsage, [{"id": fact["id"], "model_name": "n"}])
            await bulk_delete(session, ModelUsage, [fact["id"]])
            position = {"consumer_group": "g", "topic": "t", "partition": 0, "next_offset": 1}
            await bulk_insert(session, ConsumerOffset, [position])
            await session.commit()
    assert not unnamed(sent)
    assert set(sent) == {
        "users.create_with_videos",
        "user_profiles.merge",
        "videos.lock",
        "videos.merge",
        "model_usage.insert",
        "model_usage.update",
        "model_usage.delete",
        "consumer_offsets.insert",
    }


async def test_no_statement_of_a_rebuild_is_other(
    settings: Settings, operator_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a role that may make the shadow tables."""
    await publish(settings, topic_of(settings, "video"), [(b"?", b"not json"), (an_id(1).encode(), video("created"))])
    async with consuming(settings):
        await until_applied(settings)
    for name, value in environment(settings).items():
        if name.startswith("REELSYNC_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("REELSYNC_DATABASE__URL", operator_url)
    with names_sent() as sent:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["rebuild", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert not unnamed(sent)
    assert {name for name in QUERIES if name.startswith("rebuild.")} <= set(sent)
