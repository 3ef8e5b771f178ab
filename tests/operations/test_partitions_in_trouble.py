"""`trace`, `verify`, `archive` and `rebuild` read the other partitions to their end, and name the one in trouble."""

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.settings import Settings
from tests.operations.rebuilding import shadow_tables
from tests.services.contract import Broker
from tests.support.builders import an_id, user, video
from tests.support.packed_batches import Given, packed, send_packed
from tests.support.processes import run_command
from tests.support.running import consuming, eventually, publish, rows_of, topic_of, until_applied
from tests.support.topics import create_again, delete_topic

INCOMPLETE = 3


def changed(number: int) -> bytes:
    """A batch with one bit that is not as it was when its checksum was made."""
    batch = bytearray(packed([Given(an_id(number).encode(), video("created", number))], "none"))
    batch[-10] ^= 4
    return bytes(batch)


async def publish_to(settings: Settings, partition: int, number: int, what: str = "created", version: int = 1) -> None:
    value = (an_id(number).encode(), video(what, number, version=version))
    await publish(settings, topic_of(settings, "video"), [value], partitioner=lambda *_: partition)


async def answer(settings: Settings, *command: str) -> tuple[int, Any]:
    """The exit code of a command, and its JSON."""
    done = await asyncio.to_thread(run_command, settings, *command, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
async def corrupt(settings: Settings) -> Settings:
    """Video 1, a changed batch with video 2 and video 3 in partition 0; video 4 in partition 1. All consumed."""
    topic = topic_of(settings, "video")
    await publish_to(settings, 0, 1)
    await send_packed(settings, topic, changed(2))
    await publish_to(settings, 0, 3)
    await publish_to(settings, 1, 4)
    async with consuming(settings) as consumer:

        async def is_halted() -> bool:
            return bool(consumer.source.halted) and len(await rows_of(settings, "videos")) == 2

        await eventually(is_halted, "the partition halts, and the other one is read")
        status, traced = await answer(settings, "trace", an_id(3))
        (told,) = traced["not_read"]
        assert (status, told["partition"], told["reason"]) == (INCOMPLETE, 0, "unreadable")
        assert [found["what"] for found in traced["found"]] == ["waiting"]
        reset = shlex.split(told["fix"].partition("reelsync ")[2])
        done = await asyncio.to_thread(run_command, settings, *reset)
        assert done.returncode == 0, done.stderr
        await until_applied(settings)
    return settings


async def test_trace_reads_on_behind_a_batch_that_has_changed(corrupt: Settings) -> None:
    for number, fates in ((1, ["applied"]), (2, []), (3, ["applied"]), (4, ["applied"])):
        status, traced = await answer(corrupt, "trace", an_id(number))
        assert (status, [found["what"] for found in traced["found"]]) == (INCOMPLETE, fates)
        (told,) = traced["not_read"]
        assert (told["topic"], told["partition"]) == (topic_of(corrupt, "video"), 0)
        assert "offsets 1 to 1 cannot be unpacked" in told["message"]
        assert "reset" not in told["fix"], "the group has passed it already"
    shown = await asyncio.to_thread(run_command, corrupt, "trace", an_id(1))
    assert f"{topic_of(corrupt, 'video')}/0 was not read whole: the batch of offsets 1 to 1" in shown.stderr


async def test_verify_says_nothing_of_rows_that_it_could_not_calculate(
    corrupt: Settings, operator: AsyncConnection
) -> None:
    status, found = await answer(corrupt, "verify")
    assert (status, found["agrees"], len(found["not_read"])) == (INCOMPLETE, None, 1), found
    shown = await asyncio.to_thread(run_command, corrupt, "verify")
    assert "Whether all are right is not known" in shown.stderr
    assert "✓" not in shown.stdout
    # What the changed batch may have done: another event of video 1 with its version, a later one, and video 2.
    await operator.execute(text(f"UPDATE videos SET title = 'x' WHERE id = '{an_id(1)}'"))
    await operator.execute(text(f"UPDATE videos SET details_version = 9, title = 'x' WHERE id = '{an_id(3)}'"))
    await operator.execute(text(f"INSERT INTO videos (id, user_id) VALUES ('{an_id(2)}', '{an_id(1001)}')"))
    status, found = await answer(corrupt, "verify")
    assert (status, found["agrees"], found["differs"], found["missing"]) == (INCOMPLETE, None, 0, 0), found
    assert (found["uncertain"], found["unlogged"]) == (1, 2)


CERTAIN = {
    "a value, of a row whose partition was read whole": f"UPDATE videos SET title = 'x' WHERE id = '{an_id(4)}'",
    "a row that is gone, whatever else happened": f"DELETE FROM videos WHERE id = '{an_id(1)}'",
    "an event that was not applied": f"UPDATE videos SET state_version = 0 WHERE id = '{an_id(3)}'",
}


@pytest.mark.parametrize("change", CERTAIN.values(), ids=CERTAIN)
async def test_verify_still_finds_what_is_certainly_wrong(
    corrupt: Settings, operator: AsyncConnection, change: str
) -> None:
    await operator.execute(text(change))
    status, found = await answer(corrupt, "verify")
    assert (status, found["agrees"], found["differs"] + found["missing"]) == (1, False, 1), found
    assert len(found["not_read"]) == 1


async def test_an_archive_ends_before_the_changed_batch_and_has_the_others(corrupt: Settings, tmp_path: Path) -> None:
    topic = topic_of(corrupt, "video")
    for records in (2, 0):
        status, added = await answer(corrupt, "archive", topic, str(tmp_path))
        assert (status, added["records"], len(added["not_read"])) == (INCOMPLETE, records, 1)


async def test_rebuild_changes_nothing_and_says_why(
    corrupt: Settings, migrating: Settings, operator: AsyncConnection
) -> None:
    await operator.execute(text("UPDATE videos SET title = 'x'"))
    done = await asyncio.to_thread(run_command, migrating, "rebuild", "--json")
    assert done.returncode == INCOMPLETE, done.stderr
    said = json.loads(done.stdout)["error"]
    assert "no row was changed" in said
    assert f"{topic_of(corrupt, 'video')}/0 was not read whole: the batch of offsets 1 to 1" in said
    assert {row["title"] for row in await rows_of(corrupt, "videos")} == {"x"}
    assert await shadow_tables(operator), "what was read stays for the next run"


async def test_a_topic_that_was_created_again_is_not_compared_with_its_rows(settings: Settings, broker: Broker) -> None:
    for number in range(3):
        await publish_to(settings, number, number)
    async with consuming(settings):
        await until_applied(settings)
    await create_again(settings, broker, topic_of(settings, "video"), 3)
    await publish_to(settings, 0, 0, "updated", 2)
    status, found = await answer(settings, "verify")
    assert (status, found["agrees"]) == (INCOMPLETE, None)
    assert [told["reason"] for told in found["not_read"]] == ["recreated"] * 3
    status, traced = await answer(settings, "trace", an_id(0))
    assert (status, [one["what"] for one in traced["found"]]) == (INCOMPLETE, ["unknown"])


async def test_a_deleted_topic_holds_up_no_other(settings: Settings) -> None:
    await publish_to(settings, 0, 1)
    await publish(settings, topic_of(settings, "user"), [(b"u", user("created"))])
    async with consuming(settings):
        await until_applied(settings)
    await delete_topic(settings, topic_of(settings, "video"))
    status, found = await answer(settings, "verify")
    assert (status, found["agrees"], found["records"]) == (INCOMPLETE, None, 1)
    assert [told["reason"] for told in found["not_read"]] == ["deleted"] * 3
    status, traced = await answer(settings, "trace", an_id(1001))
    assert (status, [one["what"] for one in traced["found"]]) == (INCOMPLETE, ["applied"])
    status, rows = await answer(settings, "lag")
    assert (status, [row["halted"] for row in rows].count("deleted"), len(rows)) == (1, 3, 9)
