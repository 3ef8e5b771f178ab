"""Batches that unpack to more than there is memory: consumed, parked or halted by name, and the others go on."""

import asyncio
import urllib.error
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.child_process import free_port
from tests.support.builders import an_id, video
from tests.support.http_client import Client
from tests.support.packed_batches import Given, allow_large_batches, packed, send_packed
from tests.support.processes import process, run_command
from tests.support.running import eventually, publish, rows_of, topic_of, until_applied

LIMIT = 768 << 20
MIB = 1 << 20
KEY = an_id(1).encode()
LARGEST = {"gzip": 2_000, "snappy": 500, "lz4": 2_000, "zstd": 2_000}
"""MiB that a batch of each codec unpacks to, where it has less than 64."""
CODECS = list(LARGEST)


def once_on_apache_kafka(tier: str, codec: str) -> None:
    """The bytes are the same on both brokers, and what is compressed most is the largest."""
    if tier != "embedded" and codec != "zstd":
        pytest.skip("one codec on Apache Kafka: consumers are sent the same bytes")


@asynccontextmanager
async def limited(settings: Settings, *options: str) -> AsyncIterator[tuple[Any, Client]]:
    """`reelsync run` in a process that may have 768 MiB of addresses; what it says, at its end, is in `said`."""
    chosen = settings.model_copy(update={"http": settings.http.model_copy(update={"port": free_port()})})
    command = ("-m", "tests.support.limited_consumer", str(LIMIT), "run", *options)
    with process(chosen, *command, REELSYNC_LOG__FORMAT="json") as running:
        yield running, Client(chosen.http.port)


def still(running: Any) -> Any:
    def check() -> None:
        assert running.poll() is None, running.stderr.read()

    return check


async def stopped(running: Any) -> list[dict[str, Any]]:
    running.terminate()
    _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    return [orjson.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("codec", CODECS)
async def test_many_records_are_all_consumed(settings: Settings, tier: str, codec: str) -> None:
    once_on_apache_kafka(tier, codec)
    topic, count = topic_of(settings, "video"), 943
    batch = packed([Given(an_id(n).encode(), video("created", n), 500_000) for n in range(1, count + 1)], codec)
    await send(settings, tier, topic, batch)
    async with limited(settings) as (running, _):
        await until_applied(settings, still(running))
        await stopped(running)
    assert len(await rows_of(settings, "videos")) == count
    assert not await rows_of(settings, "dead_letters")


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("largest", [False, True], ids=["100 MiB", "largest"])
async def test_one_large_record_is_parked_and_the_rest_goes_on(
    settings: Settings, tier: str, codec: str, largest: bool
) -> None:
    if largest:
        once_on_apache_kafka(tier, codec)
    size = LARGEST[codec] if largest else 100
    topic = topic_of(settings, "video")
    records = [Given(KEY, video("created", 1)), Given(KEY, b"{", size * MIB), Given(KEY, video("created", 2))]
    await send(settings, tier, topic, packed(records, codec))
    async with limited(settings) as (running, _):
        await until_applied(settings, still(running))
        await stopped(running)
    (letter,) = await rows_of(settings, "dead_letters")
    assert (letter["offset"], letter["reason"], letter["key"]) == (1, "too_large", KEY)
    assert letter["detail"]["cut"] is True
    assert {row["title"] for row in await rows_of(settings, "videos")} == {"Video 1", "Video 2"}


async def send(settings: Settings, tier: str, topic: str, batch: bytes) -> None:
    if tier != "embedded":
        await allow_large_batches(settings, topic)
    await send_packed(settings, topic, batch)


async def test_what_can_only_be_unpacked_whole_halts_its_partition_until_it_is_passed_over(
    settings: Settings, tier: str
) -> None:
    if tier != "embedded":
        pytest.skip("Apache Kafka unpacks what it is sent, and refuses this")
    topic = topic_of(settings, "video")
    batch = packed([Given(KEY, video("created", 1)), Given(KEY, b"{", 200 * MIB)], "snappy in one piece")
    await send(settings, tier, topic, packed([Given(KEY, video("created", 2))], "zstd"))
    await send(settings, tier, topic, batch)
    await send(settings, tier, topic, packed([Given(KEY, video("created", 3))], "zstd"))
    async with limited(settings) as (running, client):
        await publish(settings, topic, [(an_id(n).encode(), video("created", n)) for n in range(4, 24)])

        async def is_halted() -> bool:
            still(running)()
            with suppress(urllib.error.URLError):
                return any(p["halted"] for p in (await client.status())["partitions"])
            return False

        await eventually(is_halted, "the partition is halted")

        async def others_go_on() -> bool:
            titles = {row["title"] for row in await rows_of(settings, "videos")}
            return "Video 2" in titles and len(titles) > 1

        await eventually(others_go_on, "the rows before it, and those of other partitions")
        (halted,) = [p["halted"] for p in (await client.status())["partitions"] if p["halted"]]
        assert halted["reason"] == "unreadable"
        assert "offsets 1 to 2 cannot be unpacked" in halted["why"]
        reset = ("offsets", "reset", topic, "0", "--to", "3", "--force", "--yes")
        done = await asyncio.to_thread(run_command, settings, *reset)
        assert done.returncode == 0, done.stderr
        await until_applied(settings, still(running))
        (said,) = [line for line in await stopped(running) if line["event"] == "partition.halted"]
        assert said["fix"] == f"to go on without them: reelsync offsets reset {topic} 0 --to 3 --force --yes"
    titles = {row["title"] for row in await rows_of(settings, "videos")}
    assert titles == {f"Video {n}" for n in range(2, 24)}
