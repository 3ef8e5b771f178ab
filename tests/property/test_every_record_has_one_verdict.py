"""Whatever the bytes: a record is an event or a rejection, never an exception, and never a leak of its content."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, plan
from reelsync.events import EVENT_DATA
from tests.support.builders import an_id, record
from tests.support.decoding import decode
from tests.support.row_changes import USERS, VIDEO_OUTBOX, VIDEOS, key_of, topics, user_row, video_row

MARK = "§canary§"

headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_id", "ce_type", "ce_time", "ce_source", "ce_specversion", "ce_subject", "content-type", "x"]
        ),
        st.one_of(
            st.none(),
            st.binary(max_size=20),
            st.sampled_from([b"application/json", b"1.0", *map(str.encode, EVENT_DATA)]),
        ),
    ),
    max_size=8,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(MARK),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
almost_events = st.fixed_dictionaries(
    {},
    optional={
        "specversion": st.sampled_from(["1.0", "0.3", 1]) | json_values,
        "id": json_values,
        "source": json_values,
        "type": st.sampled_from([*EVENT_DATA, "video.exploded"]) | json_values,
        "time": st.sampled_from(["2026-01-05T10:00:00Z", "1767225600", "9999-12-31T23:59:59-14:00"]) | json_values,
        "subject": json_values,
        "dataschema": json_values | st.just("urn:reelsync:video.created:99"),
        "data": st.dictionaries(
            st.sampled_from(
                ["video_id", "user_id", "usage_id", "version", "title", "username", "preferences", "progress"]
            ),
            json_values,
            max_size=6,
        )
        | json_values,
    },
).map(lambda document: json.dumps(document).encode())
framed_events = st.builds(b"".join, st.tuples(st.just(b"\x00\x00\x00\x00\x07"), almost_events))
values = st.none() | st.binary(max_size=60) | almost_events | framed_events


@given(
    value=values,
    key=st.none() | st.binary(max_size=40),
    headers=headers,
    topic=st.sampled_from([*DEFAULT_TOPICS, "unknown-topic"]),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_decode_always_gives_exactly_one_verdict(
    value: bytes | None, key: bytes | None, headers: list[Any], topic: str, timestamp: int
) -> None:
    verdict = decode(record(value, key=key, headers=headers, topic=topic, timestamp=timestamp), DEFAULT_TOPICS, 1_000)
    if isinstance(verdict, Rejection):
        assert MARK not in json.dumps(verdict.detail, ensure_ascii=False)
        for text in (verdict.event_id, verdict.event_type):
            assert text is None or "\x00" not in text
            assert text is None or text.encode().decode() == text
    else:
        assert verdict["data"]["user_id" if "user_id" in verdict["data"] else "video_id"]


columns = [*user_row(), *video_row(), "bio", "deleted_at", "created_at", "revision"]
almost_rows = st.builds(
    lambda whole, changes: whole | changes,
    st.sampled_from([{}, user_row(), video_row()]),
    st.dictionaries(st.sampled_from(columns), json_values | st.just("__debezium_unavailable_value"), max_size=3),
)
positions = st.fixed_dictionaries(
    {}, optional={name: st.integers() | json_values for name in ("lsn", "ts_ms", "ts_us", "file", "pos", "row")}
)
schemas = json_values | st.just(
    {"fields": [{"field": "after", "fields": [{"field": "created_at", "name": "io.debezium.time.Timestamp"}, 7]}]}
)
almost_envelopes = st.fixed_dictionaries(
    {"op": st.sampled_from("crudtm") | json_values},
    optional={
        "before": st.none() | almost_rows | json_values,
        "after": st.none() | almost_rows | json_values,
        "source": st.just({"lsn": 7, "ts_ms": 1_767_607_200_000}) | positions | json_values,
    },
)
captured_values = st.one_of(
    st.none(),
    st.binary(max_size=60),
    json_values.map(json.dumps).map(str.encode),
    almost_envelopes.map(json.dumps).map(str.encode),
    st.builds(lambda schema, payload: {"schema": schema, "payload": payload}, schemas, almost_envelopes | json_values)
    .map(json.dumps)
    .map(str.encode),
    almost_events,
    framed_events,
    almost_events.map(bytes.decode).map(json.dumps).map(str.encode),
)
captured_headers = st.lists(
    st.tuples(
        st.sampled_from(["id", "eventType", "time", "dataschema", "x"]),
        st.one_of(
            st.none(),
            st.binary(max_size=20),
            st.sampled_from(
                [b"2026-01-05T10:00:00Z", b'"e"', b"a\x00b", b"video.erased", *map(str.encode, EVENT_DATA)]
            ),
        ),
    ),
    max_size=6,
)
keys = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.just(key_of(an_id(1))),
    st.just(an_id(1).encode()),
    json_values.map(json.dumps).map(str.encode),
)


@settings(max_examples=1_000)
@given(
    value=captured_values,
    key=keys,
    headers=captured_headers,
    topic=st.sampled_from([USERS, VIDEOS, VIDEO_OUTBOX, "video-events"]),
    version=st.sampled_from(["source.lsn", "source.ts_ms", "revision"]),
    deletes=st.sampled_from(["soft_delete", "erase"]),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_so_does_whatever_stands_in_a_topic_that_debezium_fills(
    value: bytes | None, key: bytes | None, headers: list[Any], topic: str, version: str, deletes: str, timestamp: int
) -> None:
    read = topics(version, deletes) | DEFAULT_TOPICS
    verdict = decode(record(value, key=key, headers=headers, topic=topic, timestamp=timestamp), read, 2_000)
    if isinstance(verdict, Rejection):
        assert MARK not in json.dumps(verdict.detail, ensure_ascii=False)
        for text in (verdict.event_id, verdict.event_type):
            assert text is None or "\x00" not in text
    else:
        assert "\x00" not in verdict["id"]
        plan(Fold([verdict])).statements(Missing((), ()))


def test_the_rows_that_are_tried_there_are_near_enough_to_valid_ones() -> None:
    envelope = {"op": "u", "after": user_row(), "source": {"lsn": 7, "ts_ms": 1_767_607_200_000}}
    found = record(json.dumps(envelope).encode(), topic=USERS, key=key_of(an_id(1001)))
    assert not isinstance(decode(found, topics(), 2_000), Rejection)
