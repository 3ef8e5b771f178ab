"""`offsets show` and `offsets reset`: what the person on call sees, may do, and is kept from doing."""

import asyncio
import json
import time

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.kafka.group_members import count_members
from reelsync.consumer.settings import Settings
from tests.integration.test_positions_and_logs import change_positions
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

KEY = an_id(1).encode()


def asked(settings: Settings, *arguments: str, code: int = 0, **extra: str) -> list[dict[str, object]]:
    done = run_command(settings, "offsets", *arguments, "--json", **extra)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


async def positions(settings: Settings) -> dict[tuple[object, object], object]:
    return {(row["topic"], row["partition"]): row["next_offset"] for row in await rows_of(settings, "consumer_offsets")}


async def until_nobody_is_a_member(settings: Settings) -> None:
    async def left() -> bool:
        return await count_members(settings.kafka) == 0

    await eventually(left, "the group has no members")


async def consumed(settings: Settings, count: int) -> None:
    await publish(settings, topic_of(settings, "video"), [(KEY, video("created", n)) for n in range(count)])
    async with consuming(settings):
        await until_applied(settings)


async def test_show_says_how_far_behind_and_for_how_long(settings: Settings) -> None:
    await consumed(settings, 5)
    topic = topic_of(settings, "video")
    written = round(time.time() - 3600) * 1000
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    for number in range(3):
        sent = await producer.send_and_wait(topic, video("created", number), key=KEY, timestamp_ms=written + number)
    await producer.stop()
    rows = {(row["topic"], row["partition"]): row for row in asked(settings, "show")}
    behind = rows.pop((topic, sent.partition))
    assert (behind["position"], behind["begin"], behind["end"], behind["lag"]) == (5, 0, 8, 3)
    assert 3600 <= behind["age_seconds"] < 3600 + 120
    assert {(row["lag"], row["age_seconds"]) for row in rows.values()} == {(0, None)}


async def test_show_without_kafka_shows_the_positions(settings: Settings) -> None:
    await consumed(settings, 5)
    rows = asked(settings, "show", REELSYNC_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert sum(row["position"] for row in rows) == 5
    assert {row["lag"] for row in rows} == {None}


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(settings: Settings) -> None:
    await consumed(settings, 5)
    before = await positions(settings)
    moves = asked(settings, "reset", "--all", "--to", "earliest", "--dry-run")
    assert len(moves) == 9
    assert sum(move["replayed"] for move in moves) == 5
    assert await positions(settings) == before


async def test_a_time_after_the_last_record_is_the_end_and_never_the_begin(settings: Settings) -> None:
    await consumed(settings, 5)
    await publish(settings, topic_of(settings, "video"), [(KEY, video("created", n)) for n in range(3)])
    to = ("--to", "2099-01-01T00:00:00Z")
    done = run_command(settings, "offsets", "reset", "--all", *to, "--yes", "--force", "--json")
    assert done.returncode == 0, done.stderr
    moves = json.loads(done.stdout)
    assert (sum(move["to"] for move in moves), sum(move["skipped"] for move in moves)) == (8, 3)
    assert {move["replayed"] for move in moves} == {0}
    assert "Nothing that late was written yet in" in done.stderr


async def test_a_topic_is_reset_whole_and_others_stay(settings: Settings) -> None:
    await consumed(settings, 5)
    topic = topic_of(settings, "video")
    before = await positions(settings)
    assert len(asked(settings, "reset", topic, "--to", "earliest", "--force")) == 3
    assert await positions(settings) == {place: 0 if place[0] == topic else at for place, at in before.items()}
    skipping = ("offsets", "reset", topic, "--to", "latest", "--force")
    refused = run_command(settings, *skipping)
    assert refused.returncode == 2
    assert "5 records will be skipped and never read, which cannot be undone" in refused.stderr
    assert (await positions(settings)) != before
    assert run_command(settings, *skipping, "--yes").returncode == 0
    assert await positions(settings) == before


async def test_partitions_without_a_position_are_named_and_left_out(
    settings: Settings, operator: AsyncConnection
) -> None:
    await consumed(settings, 1)
    topic = topic_of(settings, "video")
    await operator.execute(text(f"DELETE FROM consumer_offsets WHERE topic = '{topic}' AND partition = 1"))
    before = await positions(settings)
    done = run_command(settings, "offsets", "reset", topic, "--to", "latest", "--force", "--json")
    assert (done.returncode, [move["partition"] for move in json.loads(done.stdout)]) == (0, [0, 2]), done.stderr
    assert f"No position is stored yet in {topic}/1." in done.stderr, done.stderr
    assert await positions(settings) == before


async def test_a_live_group_is_not_reset_unless_forced_and_then_goes_on(settings: Settings) -> None:
    await consumed(settings, 5)
    topic = topic_of(settings, "video")
    async with consuming(settings) as consumer:

        async def settled() -> bool:
            return len(consumer.source.positions) == 9

        await eventually(settled, "all partitions are being read")
        before = await positions(settings)
        # In a thread, for the consumer must go on to send heartbeats.
        refused = await asyncio.to_thread(run_command, settings, "offsets", "reset", topic, "--to", "earliest")
        assert (refused.returncode, "is live" in refused.stderr, "--force" in refused.stderr) == (1, True, True)
        assert await positions(settings) == before
        await asyncio.to_thread(asked, settings, "reset", topic, "--to", "earliest", "--force")

        async def read_again() -> bool:
            unchanged = {"table": "videos", "outcome": "unchanged"}
            return consumer.metrics.registry.get_sample_value("reelsync_rows_total", unchanged) == 5

        await publish(settings, topic, [(KEY, video("created", 5))])  # what the fence refuses
        await eventually(read_again, "the records were read again")
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 6


@pytest.mark.apache_kafka(because="takes those who have left for members")
async def test_a_group_that_everybody_has_left_is_reset(settings: Settings) -> None:
    await consumed(settings, 5)
    await until_nobody_is_a_member(settings)
    moves = asked(settings, "reset", topic_of(settings, "video"), "--to", "earliest")
    assert sum(move["replayed"] for move in moves) == 5


async def test_what_a_live_group_has_halted_is_reset_as_the_consumer_says(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelsync.consumer.source.halts._RECHECK_SECONDS", 0.5)
    await consumed(settings, 5)
    await change_positions(settings, "next_offset = next_offset + 1000")
    async with consuming(settings) as consumer:

        async def halted() -> bool:
            return len(consumer.source.halted) == 3

        await eventually(halted, "three halted")
        for partition in list(consumer.source.halted):
            place = (partition.topic, str(partition.number))
            moved = await asyncio.to_thread(asked, settings, "reset", *place, "--to", "earliest")
            assert [move["halted"] for move in moved] == ["truncated"]

        async def resumed() -> bool:
            return not consumer.source.halted

        await eventually(resumed, "all resumed")
        await until_applied(settings)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["reset", "no-such-topic", "--to", "earliest"], 2, "there is no topic no-such-topic"),
        (["reset", "{topic}", "17", "--to", "earliest"], 2, "there is no partition {topic}/17"),
        (["reset", "{topic}", "0", "--to", "100"], 2, "--to must be from 0 to 0"),
        (["reset", "{topic}", "--to", "soon"], 2, "--to must be earliest"),
        (["reset", "--to", "earliest"], 2, "--all"),
        (["reset", "{topic}", "--all", "--to", "earliest"], 2, "--all"),
        (["reset", "{topic}"], 2, "--to is missing"),
        (["reset", "{topic}", "--to", "earliest"], 1, "nothing to reset"),
    ],
)
def test_what_cannot_be_done_is_said(settings: Settings, arguments: list[str], code: int, said: str) -> None:
    topic = topic_of(settings, "video")
    done = run_command(settings, "offsets", *(argument.format(topic=topic) for argument in arguments))
    assert (done.returncode, said.format(topic=topic) in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.apache_kafka(because="answers every question about a time with the first offset")
async def test_a_reset_to_a_time_goes_to_the_first_record_of_that_time_or_later(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    for number in range(10):
        await producer.send_and_wait(
            topic, video("created", number), key=KEY, partition=1, timestamp_ms=1_767_614_400_000 + number * 1000
        )
    await producer.stop()
    async with consuming(settings):
        await until_applied(settings)
    for to, after in (("2026-01-05T12:00:04Z", 4), ("@1767614400001", 1), ("2030-01-01T00:00:00Z", 10)):
        assert [move["to"] for move in asked(settings, "reset", topic, "1", "--to", to, "--force", "--yes")] == [after]
