"""Header names that are not UTF-8: Kafka takes them, and they must not stop a consumer."""

import struct
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.records import Partition
from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

NAME = b"ce_\xff\xfe\x80"
_CRC_OFFSET, _ATTRIBUTES_OFFSET = 17, 21


async def publish_with_such_a_name(settings: Settings, topic: str, values: list[bytes]) -> None:
    """One batch for partition 0, whose second record has a header of that name. (The name is put in after encoding.)"""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers)
    await producer.start()
    batch: Any = producer.create_batch()
    for number, value in enumerate(values):
        headers = [("ce_NAM", b"content")] if number == 1 else []
        batch.append(key=an_id(1).encode(), value=value, timestamp=None, headers=headers)
    data = bytearray(batch._build().replace(b"ce_NAM", NAME))
    struct.pack_into(">I", data, _CRC_OFFSET, calc_crc32c(bytes(data[_ATTRIBUTES_OFFSET:])))
    batch._buffer = data
    assert NAME in data
    sent = await producer.send_batch(batch, topic, partition=0)
    await sent
    await producer.stop()


@pytest.mark.parametrize("poison", [False, True], ids=["event", "poison"])
async def test_the_record_gets_its_verdict_and_its_neighbours_theirs(settings: Settings, poison: bool) -> None:
    topic = topic_of(settings, "video")
    odd = b"not json" if poison else video("created", 2)
    values = [video("created", 1), odd, video("created", 3)]
    await publish_with_such_a_name(settings, topic, values)
    await publish(settings, topic, [(an_id(4).encode(), video("created", 4))])
    for _ in range(2):
        async with consuming(settings) as consumer:
            await until_applied(settings)
            assert not consumer.source.halted
    titles = {row["title"] for row in await rows_of(settings, "videos")}
    letters = await rows_of(settings, "dead_letters")
    if poison:
        assert titles == {"Video 1", "Video 3", "Video 4"}
        assert [letter["headers"] for letter in letters] == [[[NAME, b"content"]]], "byte for byte"
        shown = run_command(settings, "dlq", "show", f"{topic}/0/1")
        assert shown.returncode == 0, shown.stderr
        assert run_command(settings, "dlq", "list", "--json").returncode == 0
    else:
        assert titles == {"Video 1", "Video 2", "Video 3", "Video 4"}
        assert not letters


async def test_it_can_be_the_anchor(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    await publish_with_such_a_name(settings, topic, [video("created", 1), video("created", 2)])
    async with consuming(settings):
        await until_applied(settings)
    found = await KafkaLog(settings.kafka).anchors({Partition(topic, 0): 1}, 5)
    (stored,) = [row for row in await rows_of(settings, "consumer_offsets") if row["anchor_offset"] == 1]
    assert found[Partition(topic, 0)].crc == stored["anchor_crc"]
