"""Records of events: what a publisher sends is what a consumer reads, and what a consumer refuses is not made."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.events import EVENT_DATA, EventData, InvalidEventError, UserCreated, VideoCreated, is_binary
from reelsync.events.codec import parse_event
from reelsync.events.examples import EXAMPLES
from reelsync.events.json_schema import event_schema
from reelsync.events.publishing import EventEncoder, Mode, OutgoingRecord, uuid7
from reelsync.testing.builders import a_user, a_video, every_event
from tests.support.builders import an_id
from tests.support.decoding import decode

SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ENCODER = EventEncoder(source="/render/eu-1")
EXAMPLE_EVENTS = [example for examples in EXAMPLES.values() for example in examples]


def text(record: OutgoingRecord) -> dict[str, Any]:
    assert record.value is not None
    return json.loads(record.value)


@pytest.mark.parametrize("event", EXAMPLE_EVENTS, ids=lambda event: event.type)
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_every_event_is_read_as_it_was_made(event: EventData, mode: Mode) -> None:
    encoder = EventEncoder(source="/render/eu-1", mode=mode)
    at = datetime(2026, 1, 5, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    record = encoder.encode(event, event_id="01JD8Z", time=at, traceparent=SPAN)
    assert record.value is not None
    assert is_binary(record.value, record.headers) == (mode == "binary")
    read = parse_event(record.value, record.headers)
    assert (read["id"], read["source"], read["type"], read["time"]) == ("01JD8Z", "/render/eu-1", event.type, at)
    assert read["data"] == event.model_dump()
    assert record.key.decode() == read["subject"]
    assert DEFAULT_TOPICS[record.topic] == event.aggregate


@pytest.mark.parametrize("event", EXAMPLE_EVENTS, ids=lambda event: event.type)
def test_every_event_is_what_the_writers_schema_asks_for(event: EventData) -> None:
    record = EventEncoder(source="/s", trace_context=lambda: {"traceparent": SPAN, "tracestate": "a=1"}).encode(event)
    Draft202012Validator(event_schema(event.type, "writer")).validate(text(record))


def test_headers_say_what_the_value_is_and_where_the_trace_goes_on() -> None:
    video = a_video()
    structured = dict(ENCODER.encode(video.created(), traceparent=SPAN).headers)
    assert structured == {
        "content-type": b"application/cloudevents+json; charset=UTF-8",
        "traceparent": SPAN.encode(),
    }
    binary = dict(EventEncoder(source="/s", mode="binary").encode(video.created(), traceparent=SPAN).headers)
    assert binary["content-type"] == b"application/json"
    assert binary["ce_traceparent"] == binary["traceparent"] == SPAN.encode()


def test_what_is_not_said_is_filled_in() -> None:
    before = datetime.now(UTC)
    first, second = (text(ENCODER.encode(a_video().created())) for _ in range(2))
    assert first["id"] != second["id"]
    assert before <= datetime.fromisoformat(first["time"]) <= datetime.now(UTC)
    assert first["dataschema"] == "urn:reelsync:video.created:1"


@pytest.mark.parametrize("context", [{}, {"traceparent": "nonsense"}, {"traceparent": SPAN.upper()}])
def test_a_trace_that_is_none_stops_no_event(context: dict[str, str]) -> None:
    record = EventEncoder(source="/s", trace_context=lambda: context).encode(a_video().created())
    assert "traceparent" not in text(record)
    assert [name for name, _ in record.headers] == ["content-type"]


def test_the_trace_context_is_asked_for_each_event_and_one_that_is_given_stands() -> None:
    encoder = EventEncoder(source="/s", trace_context=lambda: {"traceparent": SPAN, "tracestate": "vendor=1"})
    asked = text(encoder.encode(a_video().created()))
    assert (asked["traceparent"], asked["tracestate"]) == (SPAN, "vendor=1")
    given = SPAN.replace("-01", "-00")
    assert text(encoder.encode(a_video().created(), traceparent=given))["traceparent"] == given


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"time": datetime(2026, 1, 5)}, "offset"),  # noqa: DTZ001 - naive on purpose
        ({"time": datetime(1900, 1, 5, tzinfo=UTC)}, "time"),
        ({"traceparent": "00-1-2-3"}, "W3C"),
        ({"event_id": ""}, "id"),
    ],
)
def test_attributes_that_a_consumer_would_refuse_are_refused(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ENCODER.encode(a_video().created(), **attributes)


def test_data_that_came_past_validation_is_refused_without_its_values() -> None:
    event = a_video().created(title="a title of somebody's").model_copy(update={"version": 0})
    with pytest.raises(InvalidEventError, match=r"data\.version") as refused:
        ENCODER.encode(event)
    assert "somebody" not in str(refused.value)


def test_a_value_over_the_limit_of_consumers_is_refused() -> None:
    event = a_user().created(preferences={"note": "x" * 60_000})
    assert ENCODER.encode(event)
    with pytest.raises(InvalidEventError, match="a value may have 50,000"):
        EventEncoder(source="/s", max_value_bytes=50_000).encode(event)


def test_a_type_that_is_not_in_the_contract_is_refused() -> None:
    class VideoBlessed(VideoCreated):
        type = "video.blessed"

    with pytest.raises(InvalidEventError, match="no event of the contract"):
        ENCODER.encode(VideoBlessed(**a_video().created().model_dump()))


def test_a_field_that_the_contract_does_not_have_is_refused_when_an_event_is_made() -> None:
    with pytest.raises(TypeError, match="VideoCreated has no field descripton; it has video_id"):
        a_video().created(descripton="A typing error")
    read = VideoCreated.model_validate(a_video().created().model_dump() | {"mood": "from a newer publisher"})
    assert read.title == "A video"


@pytest.mark.parametrize("options", [{"source": ""}, {"source": "/s", "mode": "avro"}])
def test_an_encoder_that_could_make_nothing_right_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        EventEncoder(**options)


def test_topics_are_the_publishers_to_name_and_one_that_is_missing_is_said() -> None:
    encoder = EventEncoder(source="/s", topics={"video": "films"})
    assert encoder.encode(a_video().created()).topic == "films"
    with pytest.raises(ValueError, match="no topic is for user events"):
        encoder.encode(a_user().created())


@pytest.mark.parametrize("aggregate", ["user", "video"])
def test_a_tombstone_is_read_as_an_erasure(aggregate: Any) -> None:
    record = ENCODER.tombstone(aggregate, uuid7())
    verdict: Any = decode(_Received(record), DEFAULT_TOPICS, 1)
    assert verdict["type"] == f"{aggregate}.tombstone"
    assert verdict["data"][f"{aggregate}_id"] == record.key.decode()


@pytest.mark.parametrize(("aggregate", "erased"), [("model_usage", an_id(1)), ("video", "number 7")])
def test_what_cannot_be_erased_is_said(aggregate: Any, erased: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|erases a user or a video"):
        ENCODER.tombstone(aggregate, erased)


def test_the_key_of_an_id_in_another_spelling_is_the_one_spelling() -> None:
    event = a_video(video_id="0a" * 16).completed().model_copy(update={"video_id": "0A" * 16})
    assert ENCODER.encode(event).key == b"0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"
    assert ENCODER.tombstone("video", "0A" * 16).key == b"0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"


def test_uuids_are_of_version_7_and_sort_by_time() -> None:
    made = [uuid7() for _ in range(1_000)]
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert len(set(made)) == 1_000
    times = [one.int >> 80 for one in made]
    assert times == sorted(times)


def test_there_is_a_builder_for_every_type() -> None:
    assert sorted(event.type for event in every_event()) == sorted(EVENT_DATA)
    assert [ENCODER.encode(event).type for event in every_event()]


def test_builders_give_versions_that_rise_and_take_what_a_test_says() -> None:
    video = a_video()
    made = [video.created(), video.processing(), video.progressed(version=10), video.completed(file_size=7)]
    assert [event.version for event in made] == [1, 2, 10, 11]
    assert made[-1].file_size == 7
    assert {event.video_id for event in made} == {video.id}
    assert a_user().created().username != a_user().created().username
    assert isinstance(a_user().created(), UserCreated)


class _Received:
    """A record as a consumer gets it."""

    def __init__(self, record: OutgoingRecord) -> None:
        self.topic, self.key, self.value, self.headers = record.topic, record.key, record.value, record.headers
        self.partition, self.offset, self.timestamp = 0, 0, 1_767_607_200_000
