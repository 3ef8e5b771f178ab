"""What Debezium 3.6 wrote of a real PostgreSQL is read as what happened there (tests/debezium/README.md)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reelsync.consumer.transform.decode import Rejection
from reelsync.events.debezium import OutboxTopic, RowChangeTopic, Topic
from tests.support.decoding import decode
from tests.support.row_changes import CAPTURED, captured_records

ADA, EVE, BOB = (f"01944b2c-3f10-7a01-8c55-5f0a1b2c3d{number}" for number in ("01", "08", "09"))
SNAPSHOTTED, TOUR, MOVED = (f"01944b2d-0a00-7b01-9d11-1122334455a{number}" for number in (1, 2, 3))
RECORDS = {(found.topic, found.offset): found for found in captured_records()}


def topic_of(name: str, **options: Any) -> Topic:
    if ".event." in name:
        return OutboxTopic.model_validate({"aggregate": name.rpartition(".")[2]})
    aggregate = name.rpartition(".")[2].removesuffix("s")
    return RowChangeTopic.model_validate({"aggregate": aggregate, "version": "row_version"} | options)


def verdict_on(name: str, offset: int, **options: Any) -> Any:
    found = RECORDS[name, offset]
    return decode(found, {name: topic_of(name, **options)}, 524_288)


def problems_of(verdict: Any) -> list[tuple[str, str]]:
    assert isinstance(verdict, Rejection)
    return [(problem["path"], problem["code"]) for problem in verdict.detail["problems"]]


def test_with_the_settings_advised_every_record_is_applied() -> None:
    names = {name for name, _ in RECORDS if name.startswith(("studio.", "outbox.", "quoted.", "expanded."))}
    verdicts = [verdict_on(name, offset) for name, offset in RECORDS if name in names]
    assert not [verdict for verdict in verdicts if isinstance(verdict, Rejection)]
    assert len(names) == 8
    assert len(verdicts) > 25


def test_a_row_that_a_snapshot_read_sets_all_its_facets() -> None:
    event = verdict_on("studio.public.users", 0)
    assert (event["type"], event["data"]["user_id"], event["data"]["version"]) == ("user.row_changed", ADA, 1)
    assert event["data"]["facets"] == {
        "account": {"username": "ada", "email": "ada@example.com", "avatar_url": None},
        "activation": {"is_active": True},
        "preferences": {"preferences": {"theme": "dark"}},
        "login": {"last_login_at": datetime(2026, 1, 5, 9, 0, 0, 123_456, UTC)},
        "profile": {"full_name": None, "company": None, "locale": None, "timezone": None, "bio": None},
        "deletion": {"deleted_at": None},
    }
    video = verdict_on("studio.public.videos", 0)
    assert video["data"]["created_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert video["time"] > datetime(2026, 11, 25, tzinfo=UTC)


def test_the_life_of_a_video_rises_in_both_versions_also_within_a_transaction() -> None:
    for version in ("row_version", "source.lsn"):
        life = [verdict_on("studio.public.videos", offset, version=version) for offset in (1, 2, 3, 4, 5, 9)]
        assert {event["data"]["video_id"] for event in life} == {TOUR}
        versions = [event["data"]["version"] for event in life]
        assert versions == sorted(set(versions))
        assert life[-1]["type"] == "video.row_deleted"
        assert [event["data"]["facets"]["state"]["progress"] for event in life[:-1]] == [0, 0, 40, 80, 100]
        assert life[4]["data"]["facets"]["output"] == {
            "output_url": "https://cdn.example.com/tour.mp4",
            "thumbnail_url": None,
            "duration_seconds": 93.5,
            "processing_time": 41.25,
            "file_size": 48_211_002,
            "completed_at": datetime(2026, 1, 5, 10, 1, 0, 500_000, UTC),
        }


def test_three_updates_in_one_transaction_share_a_time_so_that_it_is_no_version() -> None:
    versions = [
        verdict_on("studio.public.videos", offset, version="source.ts_ms")["data"]["version"] for offset in (2, 3, 4)
    ]
    assert len(set(versions)) == 1


def test_a_long_value_that_did_not_change_is_there_with_replica_identity_full_and_missed_without() -> None:
    whole = verdict_on("studio.public.videos", 3)
    assert len(whole["data"]["facets"]["details"]["description"]) == 80 * 32
    assert problems_of(verdict_on("defaults.plain.videos", 3)) == [("after.description", "unavailable_value")]


def test_a_time_without_a_unit_is_refused_and_with_a_schema_it_is_read() -> None:
    assert problems_of(verdict_on("defaults.plain.users", 1)) == [("after.deleted_at", "time_unit")]
    deleted = datetime(2026, 1, 5, 10, 0, 0, 250_000, UTC)
    assert verdict_on("schemas.public.users", 1)["data"]["facets"]["deletion"] == {"deleted_at": deleted}
    assert verdict_on("studio.public.users", 1)["data"]["facets"]["deletion"] == {"deleted_at": deleted}
    completed = datetime(2026, 1, 5, 10, 1, 0, 500_000, UTC)
    assert verdict_on("schemas.public.videos", 5)["data"]["facets"]["output"]["completed_at"] == completed


def test_a_change_of_key_removes_the_one_row_and_makes_the_other() -> None:
    removed, null, made = (verdict_on("studio.public.videos", offset) for offset in (6, 7, 8))
    assert (removed["type"], removed["data"]["video_id"]) == ("video.row_deleted", SNAPSHOTTED)
    assert (null["type"], null["data"]) == ("video.row_tombstone", {"video_id": SNAPSHOTTED})
    assert (made["type"], made["data"]["video_id"]) == ("video.row_changed", MOVED)


def test_where_removals_erase_both_the_removal_and_the_null_value_do() -> None:
    removed, null = (verdict_on("studio.public.videos", offset, deletes="erase") for offset in (9, 10))
    assert {removed["type"], null["type"]} == {"video.tombstone"}
    assert {removed["data"]["video_id"], null["data"]["video_id"]} == {TOUR}
    assert min(removed["data"]["version"], null["data"]["version"]) >= 2**62


def test_without_replica_identity_full_a_removal_s_columns_are_made_up_and_not_believed() -> None:
    assert RECORDS["defaults.plain.users", 2].value.count(b'"row_version":1') == 1, "it was 2"
    assert [path for path, _ in problems_of(verdict_on("defaults.plain.users", 2))] == [
        "before.username",
        "before.email",
    ]
    assert problems_of(verdict_on("defaults.plain.videos", 9)) == [("before.user_id", "id_format")]
    by_position = verdict_on("defaults.plain.users", 2, version="source.lsn")
    assert by_position["type"] == "user.row_deleted"
    assert verdict_on("defaults.plain.videos", 9, deletes="erase")["type"] == "video.tombstone"


def test_a_snapshot_while_a_transaction_is_open_is_ordered_by_a_column_and_refused_without_a_position() -> None:
    """The snapshot's row is the older state, and stands at a later position of the log than the change."""
    initial, incremental, changed = captured_records("incremental_snapshot.jsonl")
    by_column = {changed.topic: topic_of(changed.topic)}
    versions = [decode(found, by_column, 524_288)["data"]["version"] for found in (initial, incremental, changed)]
    assert versions == [1, 1, 2]
    by_position = {changed.topic: topic_of(changed.topic, version="source.lsn")}
    assert problems_of(decode(incremental, by_position, 524_288)) == [("source.lsn", "version")]
    source = {
        name: json.loads(found.value)["source"] for name, found in (("snapshot", incremental), ("change", changed))
    }
    assert json.loads(source["snapshot"]["sequence"])[1] > json.loads(source["change"]["sequence"])[1]


def test_a_truncate_names_no_rows() -> None:
    assert problems_of(verdict_on("defaults.plain.videos", 11)) == [("op", "truncate")]


@pytest.mark.parametrize("layout", ["outbox", "quoted", "expanded"])
def test_an_outbox_row_is_the_event_it_holds_whatever_the_converter(layout: str) -> None:
    event = verdict_on(f"{layout}.event.video", 0)
    assert (event["id"], event["type"]) == ("11111111-1111-4111-8111-111111111111", "video.progressed")
    assert event["time"] == datetime(2026, 1, 5, 10, 0, 0, 250_000, UTC)
    assert event["data"] == {"video_id": TOUR, "user_id": ADA, "version": 3, "progress": 40}
    changed = verdict_on(f"{layout}.event.user", 0)
    assert changed["data"]["preferences"] == {"theme": "light", "ratio": 1.5}
    erased = verdict_on(f"{layout}.event.user", 1)
    assert (erased["type"], erased["data"]["user_id"]) == ("user.tombstone", ADA.removesuffix("01") + "02")


def test_the_advice_in_the_documentation_is_what_was_captured_with() -> None:
    page = (CAPTURED.parents[1] / "docs" / "debezium.md").read_text()
    for name in ("studio", "outbox"):
        assert f"```properties\n{(CAPTURED / f'{name}.properties').read_text()}```" in page
