"""Whatever the bytes: a record is an event or a rejection, never an exception, and never a leak of its content."""

import json
from typing import Any

from builders import record
from hypothesis import given
from hypothesis import strategies as st

from consumer.decode import Rejection, decode
from consumer.settings import DEFAULT_TOPICS
from events import EVENT_DATA

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
values = st.none() | st.binary(max_size=60) | almost_events


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
