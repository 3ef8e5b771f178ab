"""Framed JSON becomes rows, and what else is framed a dead letter that an operator can make sense of."""

import json
import warnings

from confluent_kafka.serialization import MessageField, SerializationContext

from tests.support.builders import an_id, video
from tests.support.processes import run_command
from tests.support.running import consuming, publish, rows_of, topic_of, until_applied

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of libraries that the registry's client loads
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.json_schema import JSONSerializer

from reelsync.consumer.settings import Settings
from reelsync.events.json_schema import event_schema


async def test_framed_json_becomes_a_row_and_framed_avro_a_dead_letter(settings: Settings) -> None:
    topic = topic_of(settings, "video")
    registry = SchemaRegistryClient.new_client({"url": "mock://"})
    serializer = JSONSerializer(json.dumps(event_schema("video.created", "reader")), registry)
    context = SerializationContext(topic, MessageField.VALUE)
    values = [serializer(json.loads(video("created", number)), context) for number in (1, 2)]
    assert all(value[:1] == b"\x00" for value in values)
    avro = b"\x00\x00\x00\x00\x2a\x0eVideo 7"
    await publish(settings, topic, [(an_id(1).encode(), value) for value in (values[0], avro, values[1])])
    async with consuming(settings):
        await until_applied(settings)
    assert {row["title"] for row in await rows_of(settings, "videos")} == {"Video 1", "Video 2"}
    (letter,) = await rows_of(settings, "dead_letters")
    assert letter["value"] == avro
    shown = run_command(settings, "dlq", "show", f"{topic}/{letter['partition']}/{letter['offset']}")
    assert "schema id 42 " in " ".join(shown.stdout.split())
    verified = run_command(settings, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
