"""Two consumers of one group with two databases: each would get a part of the records, and look well."""

import asyncio
import secrets
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from sqlalchemy import make_url

from reelsync.consumer.app import Consumer
from reelsync.consumer.kafka.neighbours import Home
from reelsync.consumer.offsets.ledger import Ledger
from reelsync.consumer.settings import Settings
from reelsync.testing.servers import DatabaseServer
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.roles import roles_of
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied

PARTITIONS = 9


@pytest.fixture
def elsewhere(settings: Settings, postgres: DatabaseServer) -> Iterator[Settings]:
    """The same settings with another database."""
    name = f"other_{secrets.token_hex(4)}"
    postgres.create_database(name, "migrated")
    url = roles_of(postgres.url(name), database=str(make_url(postgres.url(name)).database)).run_url
    yield settings.model_copy(
        update={"database": settings.database.model_copy(update={"url": type(settings.database.url)(url)})}
    )
    postgres.drop_database(name)


async def halted(*consumers: Consumer) -> bool:
    found = [halt.reason for consumer in consumers for halt in consumer.source.halted.values()]
    return len(found) == PARTITIONS and set(found) == {"other_database"}


async def checked(settings: Settings, line: str) -> bool:
    """Whether `reelsync check` says so now; in a thread, because the consumers of the test need the event loop."""
    return line in (await asyncio.to_thread(run_command, settings, "check")).stdout


async def test_both_halt_and_say_why_until_one_of_them_is_gone(
    settings: Settings, elsewhere: Settings, tier: str
) -> None:
    topic = topic_of(settings, "video")
    names = [str(make_url(one.database.url.get_secret_value()).database) for one in (settings, elsewhere)]
    async with consuming(settings) as first:
        await publish(settings, topic, [(an_id(1).encode(), video("created", 1))])
        await until_applied(settings)
        known = 1 if tier != "embedded" else 0  # The embedded broker does not say what members told.
        await eventually(
            lambda: checked(settings, f"✓ group – 1 member, known to write to this database: {known}"), "one"
        )
        async with consuming(elsewhere) as second:
            await eventually(lambda: halted(first, second), "both are halted")
            await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(2, 40)])
            for consumer in (first, second):
                (why,) = [why for why in consumer.monitor.not_ready() if "different databases" in why]
                assert all(name in why for name in names)
                (notice, *_) = consumer.monitor.status().notices
                assert (notice.kind, notice.level) == ("halted", "error")
                assert "REELSYNC_KAFKA__GROUP_ID" in str(notice.fix)
            if known:
                await eventually(
                    lambda: checked(settings, "✗ group – members of the group write to"), "check names them"
                )
            assert await halted(first, second)
            assert await rows_of(elsewhere, "videos") == []
            assert len(await rows_of(settings, "videos")) == 1
        await until_applied(settings)
        assert len(await rows_of(settings, "videos")) == 39
        assert not first.source.halted
        assert not [why for why in first.monitor.not_ready() if "different databases" in why]


async def test_a_database_that_was_replaced_behind_its_address_divides_nobody_for_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who joined before the replacement told the digest of the old database, and writes to the new one."""
    topic, old = topic_of(settings, "video"), Home("0" * 16, "the database that was replaced")

    async def told_before(_ledger: Ledger) -> Home:
        return old

    with monkeypatch.context() as before:
        before.setattr(Ledger, "home", told_before)
        async with consuming(settings) as first:
            await publish(settings, topic, [(an_id(1).encode(), video("created", 1))])
            await until_applied(settings)
            assert first.source._consumer is not None
            assert first.source._consumer.home == old
            before.undo()
            async with consuming(settings) as second:

                async def of_one_mind() -> bool:
                    members = [consumer.source._consumer for consumer in (first, second)]
                    told = {member.home for member in members if member is not None}
                    return (
                        len(told) == 1 and old not in told and bool(first.source.positions and second.source.positions)
                    )

                await eventually(of_one_mind, "the first consumer tells the new database, and both read")
                await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(2, 40)])
                await until_applied(settings)
                assert not first.source.halted
    assert len(await rows_of(settings, "videos")) == 39


@pytest.mark.apache_kafka(because="does not say what members it has")
async def test_a_member_of_another_program_is_named_with_the_partitions_that_it_holds(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    stranger = AIOKafkaConsumer(
        topic,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        group_id=settings.kafka.group_id,
        client_id="stranger",
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    await stranger.start()
    checked = await asyncio.to_thread(run_command, settings, "check")
    await stranger.stop()
    assert checked.returncode == 1
    assert "another program is a member of the group (client.id stranger at " in checked.stdout
    assert f"holds {topic}/0, {topic}/1, {topic}/2: what is in its partitions is not applied" in checked.stdout
    assert (await asyncio.to_thread(run_command, settings, "check")).returncode == 0
