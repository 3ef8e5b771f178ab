"""The made-up day keeps the contract it is there to try: versions, names, duplicates, and poison of every kind."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest

from demo.day import TOPICS, DayRecord, generate_day
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.events.contract import EVENT_DATA
from reelsync.testing.expected_tables import expected_tables
from tests.support.decoding import decode

DAY = generate_day(seed=3, events=6_000)
VALID = [record for record in DAY.records if record.expected in {"event", "tombstone"}]
POISON = [record for record in DAY.records if record.expected not in {"event", "tombstone"}]
MAX_VALUE_BYTES = 524_288


def events_of(records: Iterable[DayRecord]) -> Iterator[tuple[DayRecord, str, datetime, dict[str, Any]]]:
    for record in records:
        if record.value is None:
            continue
        document = orjson.loads(record.value)
        headers = {name: (content or b"").decode() for name, content in record.headers}
        if "ce_type" in headers:
            document = {"type": headers["ce_type"], "time": headers["ce_time"], "data": document}
        yield record, document["type"], datetime.fromisoformat(document["time"]), document["data"]


def in_versions(
    records: Iterable[DayRecord],
) -> dict[tuple[str, UUID], dict[int, tuple[str, datetime, dict[str, Any]]]]:
    """The events of each aggregate by version, user.profile_updated among the user's."""
    found: dict[tuple[str, UUID], dict[int, Any]] = defaultdict(dict)
    for _, event_type, time, data in events_of(records):
        if "version" in data:
            aggregate = event_type.partition(".")[0]
            found[aggregate, UUID(data[f"{aggregate}_id"])][data["version"]] = (event_type, time, data)
    return found


def decoded(record: DayRecord) -> Any:
    seen = SimpleNamespace(**record._asdict(), partition=0, offset=0, timestamp=record.timestamp_ms)
    return decode(seen, DEFAULT_TOPICS, MAX_VALUE_BYTES)


def test_one_seed_makes_one_day() -> None:
    assert generate_day(seed=3, events=6_000) == DAY
    assert generate_day(seed=4, events=6_000) != DAY


@pytest.mark.parametrize("events", [2_000, 6_000, 20_000])
def test_a_day_has_as_many_events_as_were_asked_for(events: int) -> None:
    made = Counter(record.expected in {"event", "tombstone"} for record in generate_day(5, events).records)
    assert made[True] == pytest.approx(events, rel=0.02)


def test_the_number_of_users_can_be_chosen() -> None:
    valid = [record for record in generate_day(5, 3_000, users=40).records if record.expected == "event"]
    created = {data["username"] for _, kind, _, data in events_of(valid) if kind == "user.created"}
    assert len(created) == 40


def test_each_version_of_an_aggregate_is_one_event() -> None:
    bodies = defaultdict(set)
    for record, event_type, _, data in events_of(VALID):
        if "version" in data:
            aggregate = event_type.partition(".")[0]
            bodies[aggregate, UUID(data[f"{aggregate}_id"]), data["version"]].add((record.value, record.headers))
    assert {len(found) for found in bodies.values()} == {1}


def test_versions_grow_with_the_time_of_the_source() -> None:
    for by_version in in_versions(VALID).values():
        times = [time for _, (_, time, _) in sorted(by_version.items())]
        assert min(by_version) >= 1
        assert all(earlier < later for earlier, later in pairwise(times))


def test_a_life_begins_with_its_creation() -> None:
    firsts = Counter(by_version[min(by_version)][0] for by_version in in_versions(VALID).values())
    assert set(firsts) == {"user.created", "video.created"}


def test_every_type_of_the_contract_happens() -> None:
    wanted = set(EVENT_DATA) - {"user.erased"}
    assert {event_type for _, event_type, _, _ in events_of(VALID)} == wanted


def test_keys_are_the_aggregates_ids() -> None:
    for record, _, _, data in events_of(VALID):
        assert record.key is not None
        assert UUID(record.key.decode()) == UUID(data.get("usage_id") or data.get("video_id") or data["user_id"])


def test_some_records_come_twice_late_in_binary_mode_or_with_ids_spelled_otherwise() -> None:
    events = list(events_of(VALID))
    copies = Counter((record.key, record.value, record.headers) for record in VALID)
    twice = sum(times - 1 for times in copies.values()) / len(VALID)
    binary = sum("ce_type" in dict(record.headers) for record in VALID) / len(VALID)
    spelled = sum(data["user_id"] != str(UUID(data["user_id"])) for _, _, _, data in events)
    newest: dict[bytes | None, int] = defaultdict(int)
    late = 0
    for record, _, _, data in events:
        late += data.get("version", 0) < newest[record.key]
        newest[record.key] = max(newest[record.key], data.get("version", 0))
    assert 0.01 < twice < 0.03
    assert 0.1 < binary < 0.2
    assert spelled > 10
    assert late > 50


def test_some_videos_change_owner_and_some_aggregates_are_erased() -> None:
    owners = defaultdict(set)
    for _, event_type, _, data in events_of(VALID):
        if event_type.startswith("video."):
            owners[UUID(data["video_id"])].add(UUID(data["user_id"]))
    assert sum(len(found) == 2 for found in owners.values()) > 2
    erased = {record.topic for record in VALID if record.expected == "tombstone"}
    assert erased == {TOPICS["user"], TOPICS["video"]}
    assert all(record.value is None and not record.headers for record in VALID if record.expected == "tombstone")


@pytest.mark.parametrize("name_swaps", [0, 9])
def test_no_two_live_users_end_with_one_name(name_swaps: int) -> None:
    day = generate_day(6, 3_000, name_swaps=name_swaps)
    valid = [record for record in day.records if record.expected in {"event", "tombstone"}]
    live = [row for row in expected_tables(valid)["users"].values() if row["version"] and not row["is_deleted"]]
    names = Counter(row["username"] for row in live)
    assert set(names.values()) == {1}
    claims = defaultdict(set)
    for _, _, _, data in events_of(valid):
        if "username" in data:
            claims[data["username"]].add(UUID(data["user_id"]))
    assert sum(len(found) > 1 for found in claims.values()) == name_swaps + name_swaps // 3


def test_every_kind_of_poison_comes_a_few_times() -> None:
    kinds = Counter(record.expected for record in POISON)
    assert len(kinds) == 51
    assert set(kinds.values()) == {3}


@pytest.mark.parametrize("name_swaps", [0, 60])
def test_what_is_poison_is_refused_and_what_is_valid_is_not(name_swaps: int) -> None:
    for record in generate_day(22, 3_000, name_swaps=name_swaps).records:
        poison = record.expected not in {"event", "tombstone"}
        assert isinstance(decoded(record), Rejection) is poison, record.expected


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not JSON", "not_json"),
        ("truncated JSON", "not_json"),
        ("JSON, but no object", "not_an_event"),
        ("JSON too deep", "not_json"),
        ("unknown type", "unknown_type"),
        ("future schema", "unknown_schema"),
        ("value too large", "too_large"),
        ("version as float", "invalid"),
        ("progress beyond 100", "invalid"),
        ("preferences with NUL", "invalid"),
        ("cost with 7 places", "invalid"),
        ("tombstone of a fact", "bad_tombstone"),
        ("null with ce_ headers", "bad_tombstone"),
    ],
)
def test_poison_is_refused_for_what_its_kind_says(kind: str, reason: str) -> None:
    assert {decoded(record).reason for record in POISON if record.expected == kind} == {reason}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("progress beyond 100", "data.progress"),
        ("version 2^62", "data.version"),
        ("title with NUL", "data.title"),
        ("bad username", "data.username"),
        ("preferences too deep", "data.preferences"),
        ("binary without a time", "ce_time"),
        ("time before 1970", "time"),
        ("naive time", "time"),
    ],
)
def test_poison_is_wrong_in_one_field_only(kind: str, path: str) -> None:
    for record in POISON:
        if record.expected == kind:
            assert [problem["path"] for problem in decoded(record).detail["problems"]] == [path]
