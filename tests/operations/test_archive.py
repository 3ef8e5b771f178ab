"""`reelsync archive`, and `rebuild` and `verify` from what it kept: the log may be gone."""

import asyncio
import fcntl
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from reelsync.consumer.cli.archive import run_archive
from reelsync.consumer.cli.rebuild import run_rebuild
from reelsync.consumer.cli.verify import run_verification
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.archive.archived_log import ArchivedLog
from reelsync.consumer.operations.archive.files import ArchiveError, Segment, TopicArchive, opened
from reelsync.consumer.records import Partition, Record, Span
from reelsync.consumer.settings import Settings
from reelsync.testing.running import PARTITIONS
from tests.operations.random_topics import publish_log
from tests.operations.rebuilding import applied, damage
from tests.services.contract import Broker
from tests.support.builders import record, video
from tests.support.processes import COMMAND, process, run_command
from tests.support.running import consuming, eventually, publish, tables_of, topic_of, until_applied
from tests.support.topics import create_again, delete_topic

ODD = (
    record(b'{"a": "\xc3\xbc"}', 0, key=b"k", headers=(("ce_id", b"1"), ("ce_id", None), ("\udcff", b"\xff\0"))),
    record(None, 1, key=b"\xff"),
    record(b"", 2, key=b"", timestamp=-1),
    record(b"\x80 no text\n", 7),
)


def facts(one: Record) -> tuple[Any, ...]:
    return (one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, tuple(one.headers))


async def archived(settings: Settings, directory: Path) -> int:
    """How many records were added, of all topics."""
    return sum([(await run_archive(settings, topic, directory)).records for topic in settings.kafka.topics])


async def everything(log: KafkaLog | ArchivedLog, settings: Settings) -> list[tuple[Any, ...]]:
    places = [Partition(topic, number) for topic in settings.kafka.topics for number in range(PARTITIONS)]
    stretches = {place: Span(at.begin, at.end) for place, at in (await log.survey(places)).bounds.items()}
    return sorted([facts(one) async for scanned in log.scan(stretches) for one in scanned.records], key=lambda f: f[:3])


def test_what_is_read_is_what_was_written_byte_for_byte(tmp_path: Path) -> None:
    with opened(tmp_path, "video-events", "id") as archive:
        segment = archive.add(0, 0, 9, ODD)
    found = TopicArchive.read(tmp_path, "video-events")
    assert found is not None
    assert [facts(one) for one in found.records(segment)] == [facts(one) for one in ODD]
    assert (found.range_of(0), found.range_of(1)) == ((0, 9), None)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "video-events").iterdir()} == {0o600}


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    with opened(tmp_path, "some", None) as archive:
        archive.add(0, 0, 2, ODD[:2])
    index = tmp_path / "some" / "index.jsonl"
    whole = index.read_bytes()
    for length in range(len(whole)):
        index.write_bytes(whole[:length])
        with opened(tmp_path, "some", None) as archive:
            if archive.range_of(0) is None:
                archive.add(0, 0, 2, ODD[:2])
        assert index.read_bytes() == whole


def test_one_process_adds_at_a_time(tmp_path: Path) -> None:
    refused = pytest.raises(ArchiveError, match="another process")
    with opened(tmp_path, "some", None), refused, opened(tmp_path, "some", None):
        pass


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_file_that_is_not_as_it_was_written_is_refused(tmp_path: Path, harm: str) -> None:
    with opened(tmp_path, "some", None) as archive:
        segment = archive.add(0, 0, 9, ODD)
    file = tmp_path / "some" / segment.name
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if harm == "cut" else content[:20] + bytes([content[20] ^ 1]) + content[21:])
    with pytest.raises(ArchiveError, match="restore it"):
        list(archive.records(segment))


async def test_rows_are_rebuilt_and_verified_after_the_log_was_deleted(
    settings: Settings, migrating: Settings, operator: AsyncConnection, tmp_path: Path
) -> None:
    await applied(settings, 31)
    before = await tables_of(settings)
    log = await everything(KafkaLog(settings.kafka), settings)
    assert await archived(settings, tmp_path) == len(log)
    kept = ArchivedLog(KafkaLog(settings.kafka), tmp_path, settings.kafka.topics)
    for topic in settings.kafka.topics:
        await delete_topic(settings, topic)
    assert await everything(kept, settings) == log
    await damage(operator)
    assert (await run_verification(settings, 2, tmp_path)).found
    report = await run_rebuild(migrating, exactly=True, archive=tmp_path)
    assert report.records == len(log)
    assert await tables_of(settings) == before
    assert not (await run_verification(settings, 0, tmp_path)).found
    done = await asyncio.to_thread(run_command, settings, "verify", "--from", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)["records"]) == (0, len(log)), done.stderr


async def test_an_archive_goes_on_where_it_ends_and_kafka_has_the_rest(
    settings: Settings, migrating: Settings, operator: AsyncConnection, tmp_path: Path
) -> None:
    await publish_log(settings, 32, 100)
    first = await archived(settings, tmp_path)
    assert (first, await archived(settings, tmp_path)) == (len(await everything(KafkaLog(settings.kafka), settings)), 0)
    await publish_log(settings, 33, 60)
    command = ("archive", topic_of(settings, "user"), str(tmp_path), "--json")
    done = await asyncio.to_thread(run_command, settings, *command)
    assert json.loads(done.stdout)["records"] > 0, done.stderr
    kept = ArchivedLog(KafkaLog(settings.kafka), tmp_path, settings.kafka.topics)
    log = await everything(KafkaLog(settings.kafka), settings)
    assert await everything(kept, settings) == log
    async with consuming(settings):
        await until_applied(settings)
    before = await tables_of(settings)
    await damage(operator)
    assert (await run_rebuild(migrating, exactly=True, archive=tmp_path)).records == len(log)
    assert await tables_of(settings) == before


async def test_killed_in_the_middle_of_a_file_it_goes_on_and_the_archive_is_whole(
    settings: Settings, tmp_path: Path
) -> None:
    topic = topic_of(settings, "video")
    long = [(b"long", video("updated", 1, 900 + number, description=secrets.token_hex(2_500))) for number in range(9)]
    await publish(settings, topic, long)
    await applied(settings, 34, 60)
    log = await everything(KafkaLog(settings.kafka), settings)
    place = next(Partition(one[0], one[1]) for one in log if one[4] == b"long")
    file = tmp_path / topic / Segment(place.number, 0, 0, 0, "").name
    file.parent.mkdir()
    received = b""

    async def some_of_it() -> bool:
        nonlocal received
        assert child.poll() is None, "it ended before it was killed"
        with suppress(BlockingIOError):
            received += os.read(reading, 100)
        return bool(received)

    # In the place of the file, a pipe that holds less than it: whoever writes it waits in the middle.
    os.mkfifo(file)
    reading = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4_096)
    with process(settings, "-m", COMMAND, "archive", topic, str(tmp_path)) as child:
        await eventually(some_of_it, "the file is being written")
        child.kill()
        child.wait()
    os.close(reading)
    file.unlink()
    file.write_bytes(received)  # What would be there of a file.
    begun = TopicArchive.read(tmp_path, topic)
    assert begun is None or begun.range_of(place.number) is None
    await archived(settings, tmp_path)
    kept = ArchivedLog(KafkaLog(settings.kafka), tmp_path, settings.kafka.topics)
    for one in settings.kafka.topics:
        await delete_topic(settings, one)
    assert await everything(kept, settings) == log
    report = await run_verification(settings, 0, tmp_path)
    assert (report.records, report.found) == (len(log), {})


async def test_another_topic_of_the_same_name_is_neither_added_nor_read(
    settings: Settings, broker: Broker, tmp_path: Path
) -> None:
    topic = topic_of(settings, "video")
    await publish(settings, topic, [(b"old", video("created", 1))])
    assert await archived(settings, tmp_path) == 1
    await create_again(settings, broker, topic, PARTITIONS)
    await publish(settings, topic, [(b"new", video("created", number)) for number in range(9)])
    with pytest.raises(ArchiveError, match="earlier topic"):
        await archived(settings, tmp_path)
    kept = ArchivedLog(KafkaLog(settings.kafka), tmp_path, settings.kafka.topics)
    assert [one[4] for one in await everything(kept, settings)] == [b"old"]


async def test_a_directory_without_archives_is_no_log(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="has no archive"):
        await run_verification(settings, 0, tmp_path)
