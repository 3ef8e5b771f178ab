"""Every bound of `events.fields`: what PostgreSQL could refuse is refused, and what it can keep is kept as it is."""

import json
from collections import deque
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from reelsync.events import canonical_id, json_objects
from reelsync.events.fields import Amount, Attribute, Count, Id, Money, Percent, Text, Time, Username, Version
from reelsync.events.json_objects import MAX_JSON_BYTES, MAX_JSON_DEPTH, JsonObject

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
DIGITS = ID.replace("-", "")
Short = Annotated[str, Text(5)]
JSON_FRAME = len('{"s":""}')


def from_json(kind: Any, literal: str | bytes) -> Any:
    return TypeAdapter(kind).validate_json(literal)


def refused(kind: Any, literal: str | bytes) -> str:
    """The code of the one problem."""
    with pytest.raises(ValidationError) as caught:
        from_json(kind, literal)
    (problem,) = caught.value.errors(include_input=False, include_context=False)
    return problem["type"]


def nested(levels: int) -> str:
    """An object `levels` deep."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


@pytest.mark.parametrize(
    "text",
    [ID, DIGITS, ID.upper(), DIGITS.upper(), ID[:18] + ID[18:].upper()],
    ids=["canonical", "no dashes", "upper case", "upper case, no dashes", "mixed case"],
)
def test_every_spelling_of_an_id_becomes_the_canonical_one(text: str) -> None:
    assert from_json(Id, json.dumps(text)) == ID
    assert TypeAdapter(Id).validate_python(text) == ID
    assert canonical_id(text) == ID


@pytest.mark.parametrize(
    "text",
    [
        *(f"urn:uuid:{ID}", f"{{{ID}}}", f"{ID}\n", f"\n{ID}", f" {ID}", f"{DIGITS}\n", "", DIGITS[:-1]),
        *(DIGITS + "0", DIGITS[:-1] + "g", DIGITS[:-1] + "٣"),
        ID.replace("-", "_"),
        f"{DIGITS[:16]}-{DIGITS[16:]}",
        f"-{DIGITS}",
    ],
    ids=repr,
)
def test_no_other_spelling_is_an_id(text: str) -> None:
    assert refused(Id, json.dumps(text)) == "id_format"
    with pytest.raises(ValueError, match="must be a UUID"):
        canonical_id(text)


@pytest.mark.parametrize("literal", ["null", "17", "true", "[]", "{}", f'["{ID}"]', "12345678901234567890123456789012"])
def test_only_text_is_an_id(literal: str) -> None:
    assert refused(Id, literal) == "id_format"


def test_publishers_may_pass_a_uuid_object() -> None:
    assert TypeAdapter(Id).validate_python(UUID(ID)) == ID


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


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [(Version, 1, 2**62 - 1), (Percent, 0, 100), (Count, 0, 2**63 - 1)],
    ids=["version", "percent", "count"],
)
def test_an_integer_is_kept_between_its_bounds_and_refused_beyond(kind: Any, least: int, most: int) -> None:
    assert from_json(kind, str(least)) == least
    assert from_json(kind, str(most)) == most
    assert refused(kind, str(least - 1)) == "greater_than_equal"
    assert refused(kind, str(most + 1)) == "less_than_equal"


@pytest.mark.parametrize(
    "literal", ["1.0", "1e3", "1E0", '"7"', "true", "false", "null", "1.5", "[7]", "NaN", "9223372036854775808" * 3]
)
@pytest.mark.parametrize("kind", [Version, Percent, Count], ids=["version", "percent", "count"])
def test_an_integer_has_one_spelling(kind: Any, literal: str) -> None:
    refused(kind, literal)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("0", 0.0),
        ("3", 3.0),
        ("12.5", 12.5),
        ("1e3", 1000.0),
        ("5e-324", 5e-324),
        ("1.7976931348623157e308", 1.7976931348623157e308),
    ],
)
def test_an_amount_is_any_finite_number_from_0(literal: str, value: float) -> None:
    parsed = from_json(Amount, literal)
    assert (parsed, type(parsed)) == (value, float)


@pytest.mark.parametrize(
    "literal",
    [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 309, "-0.1", "-1", '"1.5"', '"NaN"'),
        *("true", "null"),
    ],
)
def test_an_amount_is_never_negative_infinite_or_text(literal: str) -> None:
    refused(Amount, literal)


@pytest.mark.parametrize("text", ["0", "1", "0.000001", "999999", "999999.999999", "007.50"])
def test_money_stays_the_text_it_was(text: str) -> None:
    assert from_json(Money, json.dumps(text)) == text


@pytest.mark.parametrize(
    "literal",
    [
        *('"0.1234567"', '"1000000"', '"1e3"', '"1E-2"', '"-1"', '"+1"', '".5"', '"1."', '"1,5"', '"NaN"'),
        *('"Infinity"', '""', '" 1"', '"1\\n"', '"٣"', "0.5", "1", "null"),
    ],
)
def test_money_beyond_its_column_or_in_another_form_is_refused(literal: str) -> None:
    refused(Money, literal)


@pytest.mark.parametrize(("number", "text"), [(Decimal("1.50"), "1.50"), (Decimal("1E-6"), "0.000001")])
def test_publishers_may_pass_a_decimal(number: Decimal, text: str) -> None:
    assert TypeAdapter(Money).validate_python(number) == text


@pytest.mark.parametrize("number", [Decimal("1E6"), Decimal("1E-7"), Decimal(-1), Decimal("NaN"), 0.5])
def test_publishers_may_not_pass_a_number_that_the_column_cannot_hold(number: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Money).validate_python(number)


@pytest.mark.parametrize("text", ["", "abcde", "äöüßé", "🎬🎬🎬🎬🎬", "a\nb\t", "\u2028\u0001"], ids=ascii)
def test_text_is_measured_in_characters_not_in_bytes(text: str) -> None:
    assert from_json(Short, json.dumps(text, ensure_ascii=False)) == text
    assert from_json(Short, json.dumps(text)) == text


@pytest.mark.parametrize(
    ("literal", "code"),
    [
        ('"abcdef"', "string_too_long"),
        ('"🎬🎬🎬🎬🎬🎬"', "string_too_long"),
        ('"a\\u0000b"', "string_pattern_mismatch"),
        ('"\\u0000"', "string_pattern_mismatch"),
        ('"\\ud800"', "json_invalid"),
        ('"\\udc00\\ud800"', "json_invalid"),
        (b'"\xff"', "json_invalid"),
        ("7", "string_type"),
        ("null", "string_type"),
    ],
    ids=ascii,
)
def test_text_with_nul_a_lone_surrogate_or_too_many_characters_is_refused(literal: str | bytes, code: str) -> None:
    assert refused(Short, literal) == code


def test_a_python_string_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Short).validate_python("\ud800")


def test_an_attribute_is_not_empty_and_has_no_nul() -> None:
    assert from_json(Attribute, '"x"') == "x"
    assert refused(Attribute, '""') == "string_too_short"
    assert refused(Attribute, '"\\u0000"') == "string_pattern_mismatch"


@pytest.mark.parametrize("text", ["bob", "Bob_1", "___", "x" * 50])
def test_a_username_has_3_to_50_ascii_letters_digits_and_underscores(text: str) -> None:
    assert from_json(Username, json.dumps(text)) == text


@pytest.mark.parametrize(
    "text", ["", "ab", "x" * 51, "bob ", "bob\n", "bob-1", "b.ob", "bøb", "bob\x00", "٣٣٣"], ids=ascii
)
def test_no_other_text_is_a_username(text: str) -> None:
    refused(Username, json.dumps(text))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"": ""},
        {"n": 2**80, "m": -(2**80)},
        {"n": 10**308},
        {"n": 1.7976931348623157e308},
        {"text": "\\u0000 is six characters"},
        {"🎬": ["é", None, True, 1.5, {"deep": [[]]}]},
        {"digits": "1" * 400},
        {"text": '\\"' + "1" * 400, "n": 10**308},
        {"backslashes": "\\" * 7 + "u0000"},
        {"brackets": "[{" * 100},
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_json_object_that_jsonb_can_keep_is_kept_as_it_is(value: dict[str, Any]) -> None:
    assert from_json(JsonObject, json.dumps(value)) == value


WRAPPINGS = ['{"a":%s}', '{"a":[%s]}', '{"a":{"b":[{"c":%s}]}}', '{"a":"fine","b":[1,[2,[3,%s]]]}']


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    ("literal", "code"),
    [
        ('"\\u0000"', "json_text"),
        ('{"\\u0000":1}', "json_text"),
        ('{"k\\u0000":{}}', "json_text"),
        ('"\\ud800"', "json_invalid"),
        ('{"\\udfff":1}', "json_invalid"),
        ("1e999", "json_number"),
        ("-1e999", "json_number"),
        ("NaN", "json_number"),
        ("Infinity", "json_number"),
        ("1" + "0" * 309, "json_number"),
        ("-1" + "0" * 309, "json_number"),
    ],
    ids=lambda value: value[:14],
)
def test_what_jsonb_would_refuse_is_refused_at_any_depth(wrapping: str, literal: str, code: str) -> None:
    assert refused(JsonObject, wrapping % literal) == code


def test_a_json_object_may_be_64_levels_deep() -> None:
    assert from_json(JsonObject, nested(MAX_JSON_DEPTH)) == json.loads(nested(MAX_JSON_DEPTH))
    assert refused(JsonObject, nested(MAX_JSON_DEPTH + 1)) == "json_depth"
    assert refused(JsonObject, '{"a":' + "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH + "}") == "json_depth"


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_a_python_value_however_deep_is_refused_and_overflows_nothing(depth: int) -> None:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    with pytest.raises(ValidationError, match="deeper than 64 levels"):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("character", ["x", "é", "🎬"], ids=ascii)
def test_a_json_object_may_be_64_kib_long_in_utf_8(character: str) -> None:
    count, rest = divmod(MAX_JSON_BYTES - JSON_FRAME, len(character.encode()))
    longest = character * count + "x" * rest
    assert from_json(JsonObject, json.dumps({"s": longest})) == {"s": longest}
    assert refused(JsonObject, json.dumps({"s": longest + "x"})) == "json_size"


@pytest.mark.parametrize(
    "many", ["[]," * 160_000 + "1e999", "[]," * 160_000 + '"\\u0000"', "[" * 60 + "0," * 99_999 + "0" + "]" * 60]
)
def test_what_is_too_long_is_not_walked(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(json_objects, "_levels", walked)
    assert refused(JsonObject, f'{{"a":[{many}]}}') in {"json_size", "json_number"}


@pytest.mark.parametrize("value", [{"a": [[]] * 160_000}, {"a": [{}] * 160_000}, {str(n): 0 for n in range(160_000)}])
def test_a_python_value_with_more_parts_than_it_has_bytes_for_is_looked_at_no_further(value: dict[str, Any]) -> None:
    levels = json_objects._levels(value)
    with pytest.raises(PydanticCustomError, match="65,536 bytes"):
        deque(levels, maxlen=0)
    with pytest.raises(ValidationError, match="65,536 bytes"):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("value", [{"a": [1] * 32_764}, {"a": [[]] * 21_843}])
def test_the_longest_object_may_have_as_many_parts_as_fit(value: dict[str, Any]) -> None:
    assert MAX_JSON_BYTES - 10 <= len(json.dumps(value, separators=(",", ":"))) <= MAX_JSON_BYTES
    assert TypeAdapter(JsonObject).validate_python(value) == value
    assert from_json(JsonObject, json.dumps(value)) == value


@pytest.mark.parametrize("literal", ["[]", "null", '"{}"', "1", "true"])
def test_only_an_object_is_a_json_object(literal: str) -> None:
    assert refused(JsonObject, literal) == "dict_type"


@pytest.mark.parametrize(
    "value",
    [{"a": float("nan")}, {"a": "\ud800"}, {"\ud800": 1}, {"a": object()}, {"a": datetime.now(UTC)}, {1: 2}],
    ids=["nan", "surrogate", "surrogate key", "object", "datetime", "key that is not text"],
)
def test_a_python_value_that_json_lacks_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python(value)


@pytest.mark.parametrize("value", [{"a": (1, 2)}, {"a": [(1,)]}, {"a": {1: 2}}, {"a": [{None: 1}]}], ids=repr)
def test_a_python_value_that_the_encoder_would_turn_into_json_is_refused_at_any_depth(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(JsonObject).validate_python(value)
    assert caught.value.errors()[0]["type"] == "json_type"
