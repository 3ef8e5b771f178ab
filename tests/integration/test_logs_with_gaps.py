"""Logs with gaps: what verify, rebuild and trace make of removed records and of transactions."""

import json

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from reelsync.consumer.settings import Settings
from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied


@pytest.mark.apache_kafka(because="deletes no records")
async def test_rows_older_than_the_log_cannot_be_verified_and_are_kept(settings: Settings, operator_url: str) -> None:
    life = [video("created"), video("processing", version=2), video("completed", version=3), video("created", 2)]
    await publish(settings, topic_of(settings, "video"), [(b"v", value) for value in life])
    async with consuming(settings):
        await until_applied(settings)
    position = next(
        row
        for row in await rows_of(settings, "consumer_offsets")
        if row["topic"] == topic_of(settings, "video") and row["next_offset"]
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    place = TopicPartition(position["topic"], position["partition"])
    await admin.delete_records({place: RecordsToDelete(3)})
    await admin.close()
    done = run_command(settings, "verify", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["agrees"], report["unlogged"]) == (0, True, 1)
    assert list(report["incomplete"].values()) == ["begins at 3"]
    before = await rows_of(settings, "videos")
    done = run_command(settings, "rebuild", "--json", REELSYNC_DATABASE__URL=operator_url)
    assert done.returncode == 0, done.stderr
    assert {part["table"]: part["kept"] for part in json.loads(done.stdout)["tables"]}["videos"] == 1
    assert await rows_of(settings, "videos") == before, "what the log lost stays in the rows"


@pytest.mark.apache_kafka(because="has no transactional producers")
async def test_control_records_and_aborted_ones_are_passed(settings: Settings, operator_url: str) -> None:
    topic = topic_of(settings, "video")
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=settings.kafka.group_id
    )
    await producer.start()
    for number in range(12):
        await producer.begin_transaction()
        await producer.send(topic, video("created", number), key=an_id(number).encode())
        await (producer.commit_transaction() if number % 3 else producer.abort_transaction())
    await producer.stop()
    async with consuming(settings):
        await until_applied(settings)
    verified = run_command(settings, "verify", "--json")
    report = json.loads(verified.stdout)
    assert (verified.returncode, report["records"], report["rows"]["videos"]) == (0, 8, 8)
    assert all("offsets without a record" in why for why in report["incomplete"].values())
    done = run_command(settings, "rebuild", "--json", REELSYNC_DATABASE__URL=operator_url)
    assert done.returncode == 0, done.stderr
    rebuilt = json.loads(done.stdout)
    assert [part["rows"] for part in rebuilt["tables"]] == [1, 0, 8, 0]
    assert {(part["added"], part["changed"], part["kept"]) for part in rebuilt["tables"]} == {(0, 0, 0)}
    aborted = json.loads(run_command(settings, "trace", an_id(3), "--json").stdout)
    assert aborted["found"] == []
