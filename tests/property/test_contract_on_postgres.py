"""What the contract accepts PostgreSQL accepts; what a reader refuses, the writer's schema refuses.

Events are made from the patterns and bounds of the writer's schemas, rows from the types that Debezium documents.
"""

import json
import random
from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.records import Partition
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection, decoder
from reelsync.events import EVENT_DATA, EventType, InvalidEventError, parse_event
from reelsync.events.json_schema import event_schema
from reelsync.models.engine import create_engine
from tests.support.builders import record
from tests.support.contract_values import CHARACTERS, conforming
from tests.support.roles import TEST_SCHEMA
from tests.support.row_changes import USERS, VIDEOS, envelope, key_of, topics, user_row, video_row
from tests.support.writing import deliver_all

VALUES, EVENTS_OF_A_TYPE, MUTATIONS, ROWS = 400, 600, 200, 1_500
"""Values of each kind of field, and what is made of them: 10,000 events and 1,500 rows."""
RECORDS_OF_A_BATCH = 500


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database, search_path=TEST_SCHEMA)
    yield engine
    await engine.dispose()


async def refused_by_postgresql(engine: AsyncEngine, values: list[Any]) -> list[Any]:
    """What of the records the database refuses, but for name conflicts: its value, and why."""
    parts = [values[start : start + RECORDS_OF_A_BATCH] for start in range(0, len(values), RECORDS_OF_A_BATCH)]
    rejections = await deliver_all(engine, parts, Partition("any", 0), DEFAULT_TOPICS | topics())
    written = [one for one in rejections if one.stage == "write" and one.reason != "conflict"]
    return [(one.detail, one.record.value) for one in written]


def examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many values. None of them can fail here, so nothing is shrunk."""
    found: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate], database=None)
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


@cache
def pool_of(part: str) -> list[Any]:
    """Values that the schema of a field lets through: made once, for whole events cost Hypothesis ten times as much."""
    return examples(conforming(json.loads(part)), VALUES)


def one_of(part: dict[str, Any], rng: random.Random) -> Any:
    plain = {name: rule for name, rule in part.items() if name not in {"description", "default"}}
    return rng.choice(pool_of(json.dumps(plain, sort_keys=True)))


def some_object(schema: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """An object of such values, optional fields there or not. A subject is the aggregate's id, beyond a schema."""
    chosen = {
        name: part
        for name, part in schema["properties"].items()
        if name != "subject" and (name in schema["required"] or rng.random() < 0.7)
    }
    return {name: some_object(part, rng) if name == "data" else one_of(part, rng) for name, part in chosen.items()}


def without_name_conflicts(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those whose username and email are new: each conflict would cost a search for the event that has it."""
    taken: set[tuple[str, str]] = set()
    kept = []
    for event in events:
        names = {(name, event["data"][name]) for name in ("username", "email") if name in event["data"]}
        if taken.isdisjoint(names):
            taken |= names
            kept.append(event)
    return kept


@pytest.mark.parametrize("name", EVENT_DATA)
async def test_what_the_writer_s_schema_lets_through_is_read_and_written(engine: AsyncEngine, name: EventType) -> None:
    rng, schema = random.Random(name), event_schema(name, "writer")
    events = without_name_conflicts(some_object(schema, rng) for _ in range(EVENTS_OF_A_TYPE))
    values = [json.dumps(event, ensure_ascii=number % 2 == 0).encode() for number, event in enumerate(events)]
    for value in values:
        assert parse_event(value)["type"] == name
    assert len({*values}) >= EVENTS_OF_A_TYPE / 3
    assert await refused_by_postgresql(engine, [record(value) for value in values]) == []


ABSENT = object()
WRONG = (
    *(None, True, -1, 0.5, 101, 2**62, 2**63, 2**64, "", "x", "a\x00b", "x" * 6_000, "7", "2026-01-05", "1e3"),
    *("2026-01-05T10:00:00", "2026-01-05T10:00:60Z", "2025-02-29T10:00:00Z", "1969-12-31T23:59:59Z", "a b"),
    *("2026-01-05T10:00:00+24:00", "1970-01-01T10:00:00+23:59", "-1", "1000000", "0.0000001", [], {}, ["x"]),
)


@pytest.mark.parametrize("name", EVENT_DATA)
def test_what_a_reader_refuses_the_writer_s_schema_refuses(name: EventType) -> None:
    rng, schema = random.Random(name), event_schema(name, "writer")
    validator = Draft202012Validator(schema)
    seen = {True: 0, False: 0}
    places = [("data", field) for field in schema["properties"]["data"]["properties"]]
    places += [(attribute,) for attribute in schema["properties"] if attribute != "subject"]
    for _ in range(MUTATIONS):
        event, place, wrong = some_object(schema, rng), rng.choice(places), rng.choice([*WRONG, ABSENT])
        inside = event["data"] if len(place) == 2 and "data" in event else event
        inside.pop(place[-1], None)
        inside |= {} if wrong is ABSENT else {place[-1]: wrong}
        try:
            parse_event(json.dumps(event).encode())
        except InvalidEventError:
            seen[False] += 1
            assert not validator.is_valid(event), event
        else:
            seen[True] += 1
    assert min(seen.values()) >= 10, seen


EPOCHS = st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 7_258_118_400_000_000)
STRINGS = st.text(CHARACTERS, max_size=8) | st.sampled_from(["", "🎬" * 100, "x" * 2_001, "a\x00b"])
TIMES = st.none() | EPOCHS | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
DOUBLES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 5e-324, 1.7e308, 2.0**53, 2.0**63]
)
NUMBERS = st.integers(-1, 200) | st.integers(-(2**63), 2**63 - 1) | DOUBLES
JSON_TEXTS = conforming({"type": "object"}).map(json.dumps) | STRINGS
UNITS = [None, *(f"io.debezium.time.{unit}" for unit in ("Timestamp", "MicroTimestamp", "NanoTimestamp", "Date"))]
TYPES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("created_at", "last_login_at", "failed_at", "started_at", "completed_at", "deleted_at"), TIMES),
    **dict.fromkeys(("duration_seconds", "processing_time", "progress", "file_size"), NUMBERS | st.none()),
    **dict.fromkeys(
        ("avatar_url", "description", "error_code", "full_name", "bio", "title", "locale"), STRINGS | st.none()
    ),
    "preferences": JSON_TEXTS,
    "is_active": st.booleans() | st.integers(0, 1),
    "status": st.sampled_from(["pending", "processing", "completed", "failed"]),
}


def captured_row(number: int, pools: dict[str, list[Any]], rng: random.Random) -> Any:
    """A change of a row with up to three columns of any value that their types have."""
    row = rng.choice([user_row(number, full_name=None, bio=None), video_row(number, number, output_url="x")])
    known = sorted(TYPES.keys() & {*row, "created_at", "deleted_at"})
    row |= {column: rng.choice(pools[column]) for column in rng.sample(known, rng.randint(0, 3))}
    unit, at_ms = rng.choice(UNITS), rng.choice([0, 7_258_118_400_000, rng.randrange(7_258_118_400_000)])
    payload = json.loads(envelope(rng.choice("cru"), row, lsn=rng.choice([1, 2**62 - 1]), at_ms=at_ms))
    fields = [{"field": column, "name": unit} for column in row]
    document = {"schema": {"fields": [{"field": "after", "fields": fields}]}, "payload": payload} if unit else payload
    return record(json.dumps(document).encode(), topic=VIDEOS if "title" in row else USERS, key=key_of(row["id"]))


async def test_rows_of_every_documented_type_are_refused_by_the_reader_or_written(engine: AsyncEngine) -> None:
    rng, pools = random.Random(0), {column: examples(strategy, VALUES // 4) for column, strategy in TYPES.items()}
    rows = [captured_row(number, pools, rng) for number in range(ROWS)]
    decode = decoder(topics(), 524_288)
    accepted = [row for row in rows if not isinstance(decode(row), Rejection)]
    assert ROWS / 5 < len(accepted) < ROWS
    assert await refused_by_postgresql(engine, accepted) == []
