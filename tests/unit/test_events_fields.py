"""Every bound of `events.fields`: what PostgreSQL could refuse is refused, and what it can keep is kept as it is."""

import json
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from reelsync.events import canonical_id
from reelsync.events.fields import Amount, Attribute, Count, Id, Money, Percent, Text, Username, Version
from tests.support.validating import from_json, refused

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
DIGITS = ID.replace("-", "")
Short = Annotated[str, Text(5)]


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
