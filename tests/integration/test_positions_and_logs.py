"""A stored position that no longer fits its log halts the partition, says why, and goes on once it was reset."""

import asyncio
import json
import shlex

import pytest
import structlog.testing
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import text

from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

KEY = an_id(1).encode()


async def change_positions(settings: Settings, change: str) -> None:
    engine = engine_of(settings.database)
    async with engine.begin() as connection:
        await connection.execute(
            text(f"UPDATE consumer_offsets SET {change} WHERE topic = :topic"), {"topic": topic_of(settings, "video")}
        )
    await engine.dispose()


async def consumed(settings: Settings, count: int) -> None:
    await publish(settings, topic_of(settings, "video"), [(KEY, video("created", n)) for n in range(count)])
    async with consuming(settings):
        await until_applied(settings)


async def assert_halts(settings: Settings, reason: str, partitions: int) -> None:
    with structlog.testing.capture_logs() as logs:
        async with consuming(settings) as consumer:

            async def halted() -> bool:
                return len(consumer.source.halted) == partitions

            await eventually(halted, f"{partitions} halted")
            assert {halt.reason for halt in consumer.source.halted.values()} == {reason}
            assert consumer.metrics.registry.get_sample_value("reelsync_halted_partitions") == partitions
    errors = [entry for entry in logs if entry["event"] == "partition.halted"]
    assert all("reelsync offsets reset" in error["fix"] for error in errors)
    assert len(errors) == partitions


async def test_a_position_beyond_the_end_halts(settings: Settings) -> None:
    await consumed(settings, 5)
    await change_positions(settings, "next_offset = next_offset + 1000")
    await assert_halts(settings, "truncated", 3)


@pytest.mark.parametrize(
    ("change", "reason", "partitions"),
    [
        ("next_offset = next_offset + 1000", "truncated", 3),
        ("anchor_crc = anchor_crc + 1", "recreated", 1),
        ("cluster_id = 'elsewhere'", "other_cluster", 3),
    ],
)
async def test_lag_offsets_show_and_check_know_it_and_the_fix_can_be_pasted(
    settings: Settings, change: str, reason: str, partitions: int
) -> None:
    await consumed(settings, 5)
    for command in (("lag",), ("offsets", "show"), ("check",)):
        assert run_command(settings, *command).returncode == 0
    await change_positions(settings, change)
    for command in (("lag",), ("offsets", "show")):
        done = run_command(settings, *command, "--json")
        halted = [row for row in json.loads(done.stdout) if row["halted"]]
        assert (done.returncode, len(halted), {row["halted"] for row in halted}) == (1, partitions, {reason})
        assert all(
            f"is halted: the {what}" in done.stderr for what in (("record",) if partitions == 1 else ("position",))
        )
    done = run_command(settings, "check")
    assert done.returncode == 1
    assert f"positions – {partitions} partition" in done.stdout
    for row in halted:
        assert row["fix"] in done.stdout
        reset = run_command(settings, *shlex.split(row["fix"])[1:])
        assert reset.returncode == 0, reset.stderr
    assert run_command(settings, "check").returncode == 0


async def test_another_record_at_the_anchor_halts(settings: Settings) -> None:
    await consumed(settings, 5)
    await change_positions(settings, "anchor_crc = anchor_crc + 1")
    await assert_halts(settings, "recreated", 1)


async def test_a_position_of_another_cluster_halts(settings: Settings) -> None:
    await consumed(settings, 5)
    await change_positions(settings, "cluster_id = 'elsewhere'")
    await assert_halts(settings, "other_cluster", 3)


async def test_a_recreated_topic_halts_and_goes_on_after_a_reset(settings: Settings, broker: EmbeddedBroker) -> None:
    await consumed(settings, 5)
    topic = topic_of(settings, "video")
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()
    await broker.create_topics({topic: 3})
    await publish(settings, topic, [(KEY, video("created", n, title="new")) for n in range(100, 120)])
    await assert_halts(settings, "recreated", 1)
    halted = next(
        row for row in await rows_of(settings, "consumer_offsets") if row["next_offset"] and row["topic"] == topic
    )
    done = run_command(settings, "offsets", "reset", topic, str(halted["partition"]), "--to", "earliest")
    assert done.returncode == 0, done.stderr
    async with consuming(settings):
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == 25


async def test_the_other_partitions_go_on_while_one_is_halted(settings: Settings) -> None:
    await consumed(settings, 5)
    await change_positions(settings, "anchor_crc = anchor_crc + 1")
    async with consuming(settings) as consumer:

        async def halted() -> bool:
            return len(consumer.source.halted) == 1

        await eventually(halted, "one halted")
        reader = consumer.source._consumer
        assert reader is not None
        assert {(tp.topic, tp.partition) for tp in reader.paused()} == set(consumer.source.halted)
        await publish(settings, topic_of(settings, "user"), [(b"poison", b"poison")])

        async def applied() -> bool:
            return bool(await rows_of(settings, "dead_letters"))

        await eventually(applied, "the record of another partition")


async def test_looking_up_a_halted_partition_holds_up_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its leader answers slowly: the look-up of this test does not end."""
    monkeypatch.setattr("reelsync.consumer.source.halts._RECHECK_SECONDS", 0.1)
    await consumed(settings, 5)
    await change_positions(settings, "anchor_crc = anchor_crc + 1")
    async with consuming(settings) as consumer:

        async def halted() -> bool:
            return len(consumer.source.halted) == 1

        await eventually(halted, "one halted")
        asked = asyncio.Event()

        async def never(*_: object, **_soon: object) -> None:
            asked.set()
            await asyncio.Event().wait()

        consumer.kafka_log.survey = never
        await asyncio.wait_for(asked.wait(), 60)
        await publish(settings, topic_of(settings, "user"), [(b"poison", b"poison")])

        async def applied() -> bool:
            return bool(await rows_of(settings, "dead_letters"))

        await eventually(applied, "the record of another partition")
        assert len(consumer.source.halted) == 1


@pytest.mark.parametrize(("start_from", "rows"), [("earliest", 5), ("latest", 0)])
async def test_a_partition_never_seen_starts_where_the_setting_says(
    settings: Settings, start_from: str, rows: int
) -> None:
    settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"start_from": start_from})})
    await publish(settings, topic_of(settings, "video"), [(KEY, video("created", n)) for n in range(5)])
    async with consuming(settings) as consumer:

        async def settled() -> bool:
            return len(consumer.source.positions) == 9

        await eventually(settled, "all partitions are being read")
        await until_applied(settings)
    assert len(await rows_of(settings, "videos")) == rows
