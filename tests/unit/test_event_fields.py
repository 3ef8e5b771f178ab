"""The bounds of event fields: what PostgreSQL would refuse is refused here, what it can keep is kept."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from events.fields import Amount, Count, Id, JsonObject, Money, Percent, Text, Time, Username, Version

CANONICAL = "01890a5d-ac96-774b-bcce-b302099a8057"
NESTED_64 = '{"a":' * 63 + "{}" + "}" * 63
NESTED_65 = '{"a":' * 64 + "{}" + "}" * 64


def parse(kind: Any, literal: str) -> Any:
    return TypeAdapter(kind).validate_json(literal)


@pytest.mark.parametrize(
    ("kind", "literal", "value"),
    [
        (Id, f'"{CANONICAL}"', CANONICAL),
        (Id, f'"{CANONICAL.upper()}"', CANONICAL),
        (Id, f'"{CANONICAL.replace("-", "")}"', CANONICAL),
        (Time, '"2026-01-05T10:00:00.123456789Z"', datetime(2026, 1, 5, 10, 0, 0, 123456, UTC)),
        (Time, '"2026-01-05t12:00:00+02:00"', datetime(2026, 1, 5, 10, tzinfo=UTC)),
        (Time, '"1970-01-01T00:00:00Z"', datetime(1970, 1, 1, tzinfo=UTC)),
        (Time, '"2200-01-01T00:00:00Z"', datetime(2200, 1, 1, tzinfo=UTC)),
        (Version, "4611686018427387903", 2**62 - 1),
        (Percent, "0", 0),
        (Percent, "100", 100),
        (Count, "9223372036854775807", 2**63 - 1),
        (Amount, "3", 3.0),
        (Amount, "0.5", 0.5),
        (Money, '"999999.999999"', "999999.999999"),
        (Money, '"0"', "0"),
        (Username, '"a_1"', "a_1"),
        (Annotated[str, Text(3)], '"äöü"', "äöü"),
        (JsonObject, '{"n": 1208925819614629174706176}', {"n": 2**80}),
        (JsonObject, '{"literal": "\\\\u0000"}', {"literal": "\\u0000"}),
        (JsonObject, NESTED_64, json.loads(NESTED_64)),
    ],
)
def test_what_postgresql_can_keep_is_kept(kind: Any, literal: str, value: Any) -> None:
    assert parse(kind, literal) == value


@pytest.mark.parametrize(
    ("kind", "literal"),
    [
        (Id, f'"urn:uuid:{CANONICAL}"'),
        (Id, f'"{{{CANONICAL}}}"'),
        (Id, f'"{CANONICAL}\\n"'),
        (Id, "17"),
        (Time, '"2026-01-05T10:00:00"'),
        (Time, '"2026-01-05"'),
        (Time, '"1767225600"'),
        (Time, "1767225600"),
        (Time, '"2026-02-30T10:00:00Z"'),
        (Time, '"1969-12-31T23:59:59Z"'),
        (Time, '"1970-01-01T00:00:00+00:01"'),
        (Time, '"2200-01-01T00:00:00.000001Z"'),
        (Time, '"9999-12-31T23:59:59-14:00"'),
        (Version, "0"),
        (Version, "4611686018427387904"),
        (Version, "1.0"),
        (Version, "1e3"),
        (Version, '"7"'),
        (Version, "true"),
        (Percent, "101"),
        (Count, "9223372036854775808"),
        (Count, "-1"),
        (Amount, "NaN"),
        (Amount, "Infinity"),
        (Amount, "1e999"),
        (Amount, "1" + "0" * 400),
        (Amount, "-0.1"),
        (Amount, "true"),
        (Money, '"0.1234567"'),
        (Money, '"1e3"'),
        (Money, '"-1"'),
        (Money, "0.5"),
        (Username, '"ab"'),
        (Username, '"abc\\n"'),
        (Username, '"' + "x" * 51 + '"'),
        (Annotated[str, Text(3)], '"abcd"'),
        (Annotated[str, Text(9)], '"a\\u0000b"'),
        (Annotated[str, Text(9)], '"\\ud800"'),
        (JsonObject, "[1]"),
        (JsonObject, '{"deep": [{"er": "\\u0000"}]}'),
        (JsonObject, '{"\\u0000": 1}'),
        (JsonObject, '{"n": [1e999]}'),
        (JsonObject, '{"n": 1' + "0" * 400 + "}"),
        (JsonObject, '{"s": "' + "x" * 65_530 + '"}'),
        (JsonObject, NESTED_65),
    ],
)
def test_what_postgresql_would_refuse_is_refused(kind: Any, literal: str) -> None:
    with pytest.raises(ValidationError):
        parse(kind, literal)


def test_publishers_may_use_python_values() -> None:
    assert TypeAdapter(Id).validate_python(UUID(CANONICAL)) == CANONICAL
    assert TypeAdapter(Time).validate_python(datetime(2026, 1, 5, tzinfo=UTC)) == datetime(2026, 1, 5, tzinfo=UTC)
    assert TypeAdapter(Money).validate_python(Decimal("1.50")) == "1.50"


@pytest.mark.parametrize("value", [datetime(2026, 1, 5), datetime(2300, 1, 5, tzinfo=UTC)])  # noqa: DTZ001
def test_publishers_may_not_use_times_that_events_cannot_have(value: datetime) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Time).validate_python(value)


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": "\ud800"}, {"a": object()}])
def test_python_values_that_json_lacks_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python(value)
