"""The oracle says the same of the same events in any form and order, and names each difference between rows."""

import random
from uuid import UUID

import orjson
import pytest

from demo.day import generate_day
from reelsync.testing.expected_tables import differences, expected_tables
from tests.support.sent_records import NOON, OTHER_USER, USER, VIDEO, Sent, at, erasure, sent, the_video, usage, video


@pytest.mark.parametrize("spelled", [VIDEO.replace("-", ""), VIDEO.upper(), "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"])
def test_spellings_of_an_id_are_one_id(spelled: str) -> None:
    ids = {"video_id": spelled, "user_id": USER, "version": 1}
    tables = expected_tables([sent("video.deleted", NOON.isoformat(), ids), erasure("video-events", spelled)])
    assert list(tables["videos"]) == [str(UUID(spelled))]


@pytest.mark.parametrize("time", ["2026-01-05T14:00:00.1234567+02:00", "2026-01-05T12:00:00.123456999Z"])
def test_times_are_utc_and_cut_to_microseconds(time: str) -> None:
    ids = {"video_id": VIDEO, "user_id": USER, "version": 1}
    assert the_video(sent("video.deleted", time, ids))["deleted_at"] == NOON.replace(microsecond=123_456)


def test_binary_mode_says_the_same() -> None:
    data = {"video_id": VIDEO, "user_id": USER, "version": 4, "progress": 3}
    headers = (("ce_type", b"video.progressed"), ("ce_time", at(4).isoformat().encode()), ("x", None))
    assert the_video(Sent(orjson.dumps(data), headers=headers)) == the_video(video("progressed", 4, progress=3))


def test_the_order_and_number_of_records_do_not_matter() -> None:
    valid = [record for record in generate_day(2, 2_000).records if record.expected in {"event", "tombstone"}]
    expected = expected_tables(valid)
    rng = random.Random(2)
    again = [*valid, *rng.choices(valid, k=500)]
    rng.shuffle(again)
    assert differences(expected, expected_tables(again)) == []
    assert expected_tables(again) == expected


def test_a_difference_names_table_id_column_and_both_values() -> None:
    expected = expected_tables([video("created", 1, title="A")])
    actual = expected | {"videos": {VIDEO: expected["videos"][VIDEO] | {"title": "B"}}}
    assert differences(expected, actual) == [f"videos {VIDEO} title: expected 'A', found 'B'"]


def test_rows_missing_and_rows_too_many_are_differences() -> None:
    expected = expected_tables([video("created", 1, title="A")])
    actual = {"users": {OTHER_USER: {"version": 0}}}
    assert differences(expected, actual) == [
        f"users {USER}: missing",
        f"users {OTHER_USER}: should not be there",
        f"videos {VIDEO}: missing",
    ]
    assert len(differences(expected, actual, limit=2)) == 2


def test_of_a_placeholder_only_its_version_counts() -> None:
    expected = expected_tables([usage()])
    held = {"id": UUID(VIDEO), "created_at": at(99), "title": None}
    assert differences(expected, expected | {"videos": {VIDEO: held | {"version": 0}}}) == []
    assert differences(expected, expected | {"videos": {VIDEO: held | {"version": 1}}}) == [
        f"videos {VIDEO} version: expected 0, found 1"
    ]
