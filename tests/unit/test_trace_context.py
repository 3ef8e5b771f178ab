"""`traceparent`, as publishers and strangers write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.telemetry.trace_context import TraceContext, parse_traceparent, trace_context_of, trace_contexts
from tests.support.builders import record, video

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01".encode()
CONTEXT = TraceContext(int(TRACE, 16), int(SPAN, 16), sampled=True)


@pytest.mark.parametrize(
    "value",
    [VALID, f"01-{TRACE}-{SPAN}-01".encode(), f"cc-{TRACE}-{SPAN}-ff-what the future brings".encode()],
)
def test_valid(value: bytes) -> None:
    assert parse_traceparent(value) == CONTEXT


def test_whether_it_is_sampled_is_one_bit() -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-02".encode()) == CONTEXT._replace(sampled=False)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"\xff" * 55,
        VALID[:-1],
        VALID + b"0",
        VALID + b"\n",
        b" " + VALID,
        VALID + b"-more",
        VALID.upper(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{SPAN}-0x".encode(),
        f"01-{TRACE}-{SPAN}-01-{'a' * 1000}".encode(),
        "00-０af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".encode(),
    ],
)
def test_junk_is_no_trace(value: bytes) -> None:
    assert parse_traceparent(value) is None
    assert trace_context_of(record(b"x", headers=[("traceparent", value)])) is None


@given(st.binary(max_size=80), st.lists(st.tuples(st.sampled_from(["traceparent", "ce_traceparent"]), st.binary())))
def test_no_bytes_raise(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    trace_context_of(record(value, headers=headers))
    trace_context_of(record(b'{"traceparent": "' + value + b'"}', headers=headers))


def test_the_header_goes_before_the_attribute() -> None:
    other = f"00-{TRACE}-{'1' * 16}-01".encode()
    assert trace_context_of(record(b"", headers=[("ce_traceparent", other), ("traceparent", VALID)])) == CONTEXT
    assert trace_context_of(record(b"", headers=[("traceparent", None), ("ce_traceparent", VALID)])) == CONTEXT
    assert trace_context_of(record(b"", headers=[("traceparent", b"junk"), ("traceparent", VALID)])) == CONTEXT


def test_the_attribute_of_a_structured_event() -> None:
    event = video("created").replace(b'"source"', b'"traceparent": "' + VALID + b'", "source"')
    assert trace_context_of(record(event)) == CONTEXT
    assert trace_context_of(record(b'{"traceparent": 5}')) is None
    assert trace_context_of(record(b'["traceparent"]')) is None
    assert trace_context_of(record(b'{"traceparent"')) is None
    assert trace_context_of(record(b'{"traceparent": "\\ud800"}')) is None
    assert trace_context_of(record(None)) is None


def test_each_once_and_not_more_than_asked_for() -> None:
    records = [record(b"", headers=[("traceparent", f"00-{TRACE}-{n // 2 + 1:016x}-01".encode())]) for n in range(100)]
    assert [context.span_id for context in trace_contexts(records, 5)] == [1, 2, 3, 4, 5]
    assert len(trace_contexts(records, 1_000)) == 50
