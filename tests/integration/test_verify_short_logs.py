"""A log that no longer goes back to its beginning cannot account for every row."""

import json

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from builders import video
from processes import run_command
from running import consuming, publish, rows_of, topic_of, until_applied

from consumer.settings import Settings


@pytest.mark.apache_kafka(because="deletes no records")
async def test_rows_older_than_the_log_cannot_be_verified(settings: Settings) -> None:
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
