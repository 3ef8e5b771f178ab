"""Times of events: instants with an offset, from 1970 to 2200."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema

from reelsync.events.fields import Time
from tests.support.validating import from_json, refused


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05t10:00:00z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05 10:00:00+00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00-00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T12:00:00+02:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T06:30:00-03:30", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2026-01-05T10:00:00.5Z", datetime(2026, 1, 5, 10, 0, 0, 500_000, UTC)),
        ("2026-01-05T10:00:00.123456789Z", datetime(2026, 1, 5, 10, 0, 0, 123_456, UTC)),
        ("2026-01-05T10:00:00.9999999Z", datetime(2026, 1, 5, 10, 0, 0, 999_999, UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1970-01-01T01:00:00+01:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1969-12-31T23:00:00-01:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2200-01-01T00:00:00Z", datetime(2200, 1, 1, tzinfo=UTC)),
        ("2026-01-06T02:01:00+16:00", datetime(2026, 1, 5, 10, 1, tzinfo=UTC)),
        ("2026-01-05T10:00:00-23:59", datetime(2026, 1, 6, 9, 59, tzinfo=UTC)),
        ("2200-01-01T23:59:00+23:59", datetime(2200, 1, 1, tzinfo=UTC)),
        ("1969-12-31T00:01:00-23:59", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_an_instant_cut_to_microseconds_and_kept_in_utc(text: str, instant: datetime) -> None:
    """PostgreSQL refuses offsets of 16 hours and more, and a fold would let some of them through."""
    for parsed in (from_json(Time, json.dumps(text)), TypeAdapter(Time).validate_python(text)):
        assert parsed == instant
        assert parsed.tzinfo is UTC


def test_a_leap_second_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"leap second \(:60\)"):
        from_json(Time, '"2026-06-30T23:59:60Z"')


@pytest.mark.parametrize(
    "literal",
    [
        *('"2026-01-05T10:00:00"', '"2026-01-05"', '"2026-01-05T10:00Z"', '"10:00:00Z"', '"1767225600"'),
        *('"1767225600.5"', '"1767225600000"', "1767225600", "1767225600.5", "true", "null", '""'),
        *('"2026-02-30T10:00:00Z"', '"2025-02-29T10:00:00Z"', '"2026-13-01T10:00:00Z"'),
        *('"2026-01-05T24:00:00Z"', '"2026-01-05T10:60:00Z"', '"2026-01-05T10:00:00.Z"'),
        *('"2026-01-05T10:00:00+2"', '"2026-01-05T10:00:00+99:00"', '"2026-01-05T10:00:00Z\\n"'),
        *('"2026-01-05T10:00:00Z[Europe/Lisbon]"', '"1969-12-31T23:59:59.999999Z"'),
        *('"1970-01-01T00:00:00+00:01"', '"2200-01-01T00:00:00.000001Z"', '"2200-01-01T00:00:00-00:01"'),
        *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', '"12026-01-05T10:00:00Z"'),
    ],
)
def test_a_time_without_an_offset_not_on_the_calendar_or_out_of_1970_to_2200_is_refused(literal: str) -> None:
    refused(Time, literal)


PLAIN_TIME = SchemaValidator(
    core_schema.chain_schema(
        [
            core_schema.str_schema(
                pattern=r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$", strict=True
            ),
            core_schema.datetime_schema(
                ge=datetime(1970, 1, 1, tzinfo=UTC),
                le=datetime(2200, 1, 1, tzinfo=UTC),
                tz_constraint="aware",
                microseconds_precision="truncate",
                strict=False,
            ),
        ]
    )
)
"""A time by Pydantic alone, without the form for UTC that is faster to compare."""


@given(
    year=st.integers(1969, 2201),
    numbers=st.tuples(*(st.integers(0, most) for most in (13, 32, 25, 61, 61))),
    fraction=st.sampled_from(["", "."]) | st.from_regex(r"\.[0-9]{1,10}", fullmatch=True),
    between=st.sampled_from("Tt "),
    offset=st.sampled_from(["Z", "z", "", "+00:00", "-03:30", "+23:59", "-16:00", "+24:00"]),
)
def test_the_form_for_utc_gives_what_pydantic_gives(
    year: int, numbers: tuple[int, ...], fraction: str, between: str, offset: str
) -> None:
    month, day, hour, minute, second = numbers
    text = f"{year}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}{fraction}{offset}"
    assert instant_or_none(TypeAdapter(Time).validator, text) == instant_or_none(PLAIN_TIME, text)


def instant_or_none(validator: Any, text: str) -> datetime | None:
    try:
        return validator.validate_json(json.dumps(text))
    except ValidationError:
        return None


def test_publishers_may_pass_an_aware_datetime_and_no_other() -> None:
    adapter = TypeAdapter(Time)
    noon = datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=2)))
    assert adapter.validate_python(noon) == noon
    assert adapter.validate_python(noon).tzinfo is UTC
    for bad in (datetime(2026, 1, 5), datetime(2201, 1, 1, tzinfo=UTC), noon.date(), 1_767_225_600):  # noqa: DTZ001
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)
