"""A fold becomes one statement a table: rows sorted by key, placeholders for what is missing and nothing else."""

import gc
import json
import weakref
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.fold import Fold
from reelsync.consumer.transform.plan import Missing, Plan, plan
from reelsync.consumer.transform.projections import MERGES
from reelsync.models import ModelUsage
from reelsync.models.facets import version_column
from tests.support.builders import an_id, record, usage, user, video
from tests.support.decoding import decode

NOTHING = Missing((), ())


def fold_of(*values: bytes) -> Fold:
    events = [decode(record(value), DEFAULT_TOPICS, 10**6) for value in values]
    return Fold(event for event in events if not isinstance(event, Rejection))


def everything(planned: Plan) -> Missing:
    return Missing(planned.referenced_users(), planned.referenced_videos())


def rows_of(planned: Plan, missing: Missing = NOTHING) -> dict[str, list[dict[str, Any]]]:
    return {statement.table: json.loads(statement.rows) for statement in planned.statements(missing)}


def rows_from(*values: bytes) -> dict[str, list[dict[str, Any]]]:
    return rows_of(plan(fold_of(*values)))


ALL = [usage(1), video("created"), user("created"), user("profile_updated", version=2)]


def test_there_is_one_statement_a_table_in_the_order_of_references() -> None:
    assert list(rows_from(*ALL)) == ["users", "user_profiles", "videos", "model_usage"]
    assert list(rows_from(*reversed(ALL))) == ["users", "user_profiles", "videos", "model_usage"]


def test_tables_without_rows_are_left_out() -> None:
    assert plan(Fold()).statements(NOTHING) == []
    assert list(rows_from(video("created"))) == ["videos"]


def test_a_statement_counts_its_rows() -> None:
    planned = plan(fold_of(*ALL, *(video("created", number) for number in range(5))))
    for statement in planned.statements(everything(planned)):
        assert statement.row_count == len(json.loads(statement.rows))


@given(ids=st.lists(st.uuids(), min_size=2, max_size=20, unique=True))
def test_rows_are_sorted_by_uuid_value_however_the_ids_were_spelled(ids: list[UUID]) -> None:
    spellings = [str(one) if n % 3 else one.hex.upper() for n, one in enumerate(ids)]
    values = [video("created", video_id=text, user_id=text) for text in spellings[::2]]
    values += [usage(video_id=text, user_id=text, usage_id=text) for text in spellings[1::2]]
    values += [user("profile_updated", user_id=text) for text in spellings]
    planned = plan(fold_of(*values))
    tables = rows_of(planned, everything(planned))
    for table, rows in tables.items():
        keys = [UUID(row["user_id" if table == "user_profiles" else "id"]) for row in rows]
        assert keys == sorted(keys, key=lambda key: key.bytes)
    assert [UUID(row["id"]) for row in tables["users"]] == sorted(ids)
    assert [UUID(row["id"]) for row in tables["videos"]] == sorted(ids)


def test_what_is_missing_gets_a_placeholder_and_what_is_not_gets_none() -> None:
    planned = plan(fold_of(video("created", 1, owner=1), video("created", 2, owner=2), usage(1, of_video=3, owner=3)))
    assert set(planned.referenced_users()) == {an_id(1001), an_id(1002), an_id(1003)}
    assert planned.referenced_videos() == [an_id(3)]
    tables = rows_of(planned, Missing([an_id(1002)], [an_id(3)]))
    assert [(row["id"], row["version"]) for row in tables["users"]] == [(an_id(1002), 0)]
    assert [(row["id"], row["version"]) for row in tables["videos"]] == [(an_id(1), 1), (an_id(2), 1), (an_id(3), 0)]


def test_what_has_events_of_its_own_in_the_fold_is_not_asked_for() -> None:
    planned = plan(fold_of(*ALL))
    assert (planned.referenced_users(), planned.referenced_videos()) == ([], [])


def test_a_user_known_by_a_profile_alone_is_a_row_of_its_version() -> None:
    planned = plan(fold_of(user("profile_updated", version=7), video("created")))
    assert planned.referenced_users() == []
    (row,) = rows_of(planned)["users"]
    assert row.keys() == {"id", "version", "created_at", "updated_at"}
    assert row["version"] == 7


def test_a_placeholder_holds_what_the_table_demands_and_provisional_times() -> None:
    planned = plan(fold_of(usage(1, of_video=5, owner=6, model_name="x"), video("created", 1, owner=6)))
    tables = rows_of(planned, everything(planned))
    time = "2026-01-05T10:00:00+00:00"
    assert tables["users"] == [{"id": an_id(1006), "version": 0, "created_at": time, "updated_at": time}]
    placeholder = next(row for row in tables["videos"] if row["version"] == 0)
    assert placeholder == {
        "id": an_id(5),
        "user_id": an_id(1006),
        "version": 0,
        "created_at": time,
        "updated_at": time,
    }


def test_a_row_has_only_columns_of_its_table_and_a_version_for_each_facet_it_sets() -> None:
    kinds = ("created", "updated", "processing", "progressed", "completed", "failed", "deleted", "restored")
    tables = rows_from(*(video(kind, n, n) for n, kind in enumerate(kinds, 1)), *ALL)
    for table, rows in tables.items():
        if table != "model_usage":
            merge = MERGES[table]
            for row in rows:
                assert set(row) <= set(merge.columns)
                set_here = {facet for facet in merge.facets if row.get(version_column(facet))}
                assert {facet for facet, columns in merge.facets.items() if set(columns) & set(row)} <= set_here


def test_a_fact_has_every_column_of_its_table() -> None:
    (row,) = rows_from(usage(1))["model_usage"]
    assert set(ModelUsage.__table__.columns.keys()) <= row.keys()
    assert row["id"] == an_id(2001)
    assert row["cost_usd"] == "0.0125"
    assert row["used_at"] == row["created_at"] == row["updated_at"] == "2026-01-05T10:00:00+00:00"


@pytest.mark.parametrize(
    "time",
    ["2026-01-05T10:00:00.000001Z", "2026-01-05T06:30:00.000001-03:30", "2026-01-06T09:59:00.000001+23:59"],
)
def test_times_are_sent_with_their_offset_and_their_microseconds(time: str) -> None:
    document = json.loads(video("deleted")) | {"time": time}
    (row,) = rows_from(json.dumps(document).encode())["videos"]
    assert datetime.fromisoformat(row["deleted_at"]) == datetime.fromisoformat("2026-01-05T10:00:00.000001+00:00")


@pytest.mark.parametrize(
    "preferences", [{}, {"n": 2**80}, {"é🎬": [1.5, None, {"a": -(2**63)}]}, {"q": '"\\ \n\u2028'}]
)
def test_preferences_are_sent_as_they_came(preferences: dict[str, Any]) -> None:
    (row,) = rows_from(user("preferences_changed", preferences=preferences))["users"]
    assert row["preferences"] == preferences


def test_versions_are_sent_to_the_last_digit() -> None:
    document = json.loads(video("deleted"))
    document["data"]["version"] = 2**62 - 1
    (row,) = rows_from(json.dumps(document).encode())["videos"]
    assert row["version"] == row["deletion_version"] == 2**62 - 1


def test_a_plan_made_in_steps_is_the_same_and_takes_its_rows_out_of_the_fold() -> None:
    values = [*ALL, *(video("created", number, owner=number) for number in range(1_000))]
    fold = fold_of(*values)
    planned = Plan(fold)
    steps = 0
    while planned.step():
        steps += 1
    assert steps == 1_000 // 256
    assert rows_of(planned, everything(planned)) == rows_of(plan(fold_of(*values)), everything(planned))
    assert not any(fold.rows.values())
    assert not fold.facts
    assert not planned.step()


def test_a_plan_whose_encoding_failed_never_passes_for_a_whole_one() -> None:
    fold = fold_of(*(video("created", number) for number in range(3)))
    fold.rows["videos"][an_id(1)].version = 2**200
    planned = Plan(fold)
    with pytest.raises(TypeError):
        planned.finish()
    with pytest.raises(StopIteration):
        planned.step()
    with pytest.raises(ValueError, match="not finished"):
        planned.statements(NOTHING)


def test_large_rows_are_encoded_in_more_steps() -> None:
    fold = fold_of(*(user("preferences_changed", n, preferences={"x": "y" * 40_000}) for n in range(20)))
    planned = Plan(fold)
    steps = 0
    while planned.step():
        steps += 1
    assert steps == 5


def test_a_plan_is_freed_without_the_collector() -> None:
    planned = plan(fold_of(*ALL))
    freed = weakref.ref(planned)
    gc.disable()
    try:
        del planned
        assert freed() is None
    finally:
        gc.enable()


def test_a_plan_tells_the_erased_the_earliest_and_the_conflicts() -> None:
    erased = decode(record(None, key=an_id(7).encode(), timestamp=1_767_607_200_000), DEFAULT_TOPICS, 10**6)
    assert not isinstance(erased, Rejection)
    fold = fold_of(video("created"), video("updated"))
    fold.add(erased)
    earliest = fold.earliest
    planned = plan(fold)
    assert (planned.erased, planned.earliest, planned.conflicts) == ([an_id(7)], earliest, 1)
