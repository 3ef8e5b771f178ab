"""What clients of a schema registry write: JSON in a frame is read, and a sentence says what the rest probably is."""

import json
import warnings
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.struct_pb2 import Struct

from tests.support.builders import an_id, record, user, video
from tests.support.row_changes import VIDEO_OUTBOX, VIDEOS, key_of, topics, video_row
from tests.support.row_changes import envelope as envelope_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of libraries that the registry's client loads
    from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.events import EVENT_DATA
from reelsync.events.json_schema import data_schema, event_schema, example_events
from tests.support.decoding import decode

TOPIC = "video-events"
AVRO = {"type": "record", "name": "Video", "fields": [{"name": "title", "type": "string"}]}
IN_HEADER = {"schema.id.serializer": header_schema_id_serializer}


@pytest.fixture
def registry() -> Any:
    return SchemaRegistryClient.new_client({"url": "mock://"})


def serialized(serializer: Any, document: Any) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers, as a SerializingProducer makes them."""
    headers: list[tuple[str, bytes]] = []
    value = serializer(document, SerializationContext(TOPIC, MessageField.VALUE, headers))
    return value, headers


def verdict(value: bytes, headers: Any = (), **fields: Any) -> Any:
    return decode(record(value, headers=headers, **fields), {**topics(), **DEFAULT_TOPICS}, 10_000)


def rejected(value: bytes, headers: Any = (), **fields: Any) -> Rejection:
    found = verdict(value, headers, **fields)
    assert isinstance(found, Rejection)
    assert found.record.value == value, "a dead letter keeps the value as it was received"
    return found


@pytest.mark.parametrize("options", [{}, IN_HEADER], ids=["in the value", "in a header"])
@pytest.mark.parametrize("name", sorted(EVENT_DATA))
def test_what_the_json_serializer_writes_is_the_event_that_it_was_given(registry: Any, name: Any, options: Any) -> None:
    document = example_events(name)[-1]
    plain = json.dumps(document).encode()
    schema = json.dumps(event_schema(name, "writer"))
    value, headers = serialized(JSONSerializer(schema, registry, conf=options), document)
    assert (value[:1] == b"\x00", [name for name, _ in headers]) == (
        (False, ["__value_schema_id"]) if options else (True, [])
    )
    assert verdict(value, headers) == verdict(plain)


def test_so_is_the_data_of_binary_mode(registry: Any) -> None:
    document = example_events("video.created")[-1]
    serializer = JSONSerializer(json.dumps(data_schema("video.created", "writer")), registry)
    value, headers = serialized(serializer, document["data"])
    attributes = [(f"ce_{name}", text.encode()) for name, text in document.items() if name != "data"]
    found = verdict(value, [*headers, *attributes, ("content-type", b"application/json")])
    assert found == verdict(json.dumps(document).encode())


def test_so_are_row_changes_and_the_outbox() -> None:
    frame = b"\x00\x00\x00\x00\x07"
    change = {"topic": VIDEOS, "key": key_of(an_id(1))}
    value = envelope_of("u", video_row())
    assert verdict(frame + value, **change) == verdict(value, **change)
    assert not isinstance(verdict(value, **change), Rejection)
    assert "schema id 7 " in str(rejected(frame + b"\x02", **change).detail)
    row = {"topic": VIDEO_OUTBOX, "key": an_id(1).encode(), "headers": [("id", b"1"), ("eventType", b"video.created")]}
    data = json.dumps(json.loads(video("created"))["data"]).encode()
    assert verdict(frame + data, **row) == verdict(data, **row)
    assert not isinstance(verdict(data, **row), Rejection)


@pytest.mark.parametrize("options", [{}, IN_HEADER], ids=["in the value", "in a header"])
def test_avro_and_protobuf_are_dead_letters_that_say_so_and_name_the_schema(registry: Any, options: Any) -> None:
    protobuf = {"use.deprecated.format": False, **options}
    for serializer, document in (
        (AvroSerializer(registry, json.dumps(AVRO), conf=options), {"title": "A tour"}),
        (ProtobufSerializer(Struct, registry, protobuf), Struct()),
    ):
        value, headers = serialized(serializer, document)
        schema_id = str(UUID(bytes=headers[0][1][1:17])) if options else str(int.from_bytes(value[1:5], "big"))
        found = rejected(value, headers, key=an_id(7).encode())
        (problem,) = found.detail["problems"]
        assert (found.stage, found.reason, found.aggregate_id) == ("decode", "not_json", UUID(an_id(7)))
        assert f"schema id {schema_id} " in problem["message"]
        assert "Avro or Protobuf" in problem["message"]


def test_an_event_that_is_not_valid_is_told_of_as_without_a_frame() -> None:
    value = video("created", 7, title=None)
    plain, framed = rejected(value), rejected(b"\x00\x00\x00\x00\x01" + value)
    assert framed._replace(record=plain.record) == plain
    assert plain.event_id
    assert plain.aggregate_id == UUID(an_id(7))


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"\x00\x00\x00\x01", ()),
        (b"\x02\x00\x00\x00\x01{}", ()),
        (b"\x01" + user("created")[:10], ()),
        (b"junk", [("__value_schema_id", None)]),
        (b"junk", [("__value_schema_id", b"\x01short")]),
        (b"junk", [("__key_schema_id", b"\x00\x00\x00\x00\x01")]),
    ],
    ids=repr,
)
def test_bytes_that_are_no_frame_are_told_of_as_before(value: bytes, headers: Any) -> None:
    (problem,) = rejected(value, headers).detail["problems"]
    assert problem["code"] == "json_invalid"


def test_frames_in_a_frame_are_not_opened() -> None:
    assert "schema id 0 " in str(rejected(b"\x00" * 9_999).detail)
    assert "schema id 1 " in str(rejected(b"\x00\x00\x00\x00\x01\x00\x00\x00\x00\x02" + video("created")).detail)
