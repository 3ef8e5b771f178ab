"""The merge in memory: any order, any duplication and any regrouping of a log say the same of every row."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.fold import Fold, FoldWithStates, fold_type
from reelsync.consumer.transform.plan import Missing, plan
from reelsync.consumer.transform.projections import MERGES
from reelsync.events import parse_event
from reelsync.models.facets import version_column
from tests.support.builders import an_id, record, structured, usage, user, video
from tests.support.decoding import decode
from tests.support.random_logs import random_log

Tables = dict[str, dict[str, dict[str, Any]]]
TIMES = (
    "created_at",
    "updated_at",
    "failed_at",
    "started_at",
    "completed_at",
    "deleted_at",
    "last_login_at",
    "used_at",
)


def event_of(item: Any) -> Any:
    event = decode(item, DEFAULT_TOPICS, 10**6)
    assert not isinstance(event, Rejection)
    return event


def fold_of(*values: bytes) -> Fold:
    return Fold(event_of(record(value)) for value in values)


def rows_of(fold: Fold) -> Tables:
    """The plan's rows by table and key, as a database that has nothing yet would get them."""
    tables: Tables = {"users": {}, "user_profiles": {}, "videos": {}, "model_usage": {}}
    planned = plan(fold)
    for statement in planned.statements(Missing(planned.referenced_users(), planned.referenced_videos())):
        for row in json.loads(statement.rows):
            key = row["user_id" if statement.table == "user_profiles" else "id"]
            tables[statement.table][key] = row | {n: datetime.fromisoformat(row[n]) for n in TIMES if row.get(n)}
    return tables


def merged(tables: Tables, more: Tables) -> Tables:
    """The rule of DESIGN §4, written a second time: what the database makes of `tables` when `more` arrives."""
    result: Tables = {"model_usage": more["model_usage"] | tables["model_usage"]}
    for table, merge in MERGES.items():
        result[table] = dict(tables[table])
        for key, new in more[table].items():
            old = tables[table].get(key, new)
            row = {merge.key: key}
            for facet, columns in merge.facets.items():
                name = version_column(facet)
                winner = new if new.get(name, 0) > old.get(name, 0) else old
                row |= {column: winner.get(column) for column in columns if winner.get(name)} | {
                    name: winner.get(name, 0)
                }
            highest = new if new[merge.version] > old[merge.version] else old
            row |= {name: highest.get(name) for name in (merge.version, *merge.with_version, "updated_at")}
            if new[merge.version] == old[merge.version] > 0:
                row["updated_at"] = max(new["updated_at"], old["updated_at"])
            real = [part["created_at"] for part in (old, new) if part[merge.version]] or [old["created_at"]]
            result[table][key] = row | {"created_at": min(real)}
    return result


def facts_only(tables: Tables) -> Tables:
    """The rows, of placeholders only that they are there: their values are provisional."""
    return {
        table: {key: {} if row.get("version") == 0 else row for key, row in rows.items()}
        for table, rows in tables.items()
    }


def state_after(groups: Iterable[list[Any]]) -> Tables:
    tables = rows_of(Fold())
    for group in groups:
        tables = merged(tables, rows_of(Fold(group)))
    return facts_only(tables)


LOGS = st.integers(0, 5_000).map(lambda seed: [event_of(item) for item in random_log(seed, 3, 4, 40)])


@given(log=LOGS, data=st.data())
def test_any_order_duplication_and_regrouping_gives_the_same_rows(log: list[Any], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(log), max_size=15))
    disordered = data.draw(st.permutations(log + again))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(disordered) - 1), max_size=5)))
    groups = [disordered[start:end] for start, end in zip([0, *cuts], [*cuts, len(disordered)], strict=True)]
    expected = state_after([log])
    assert state_after([disordered]) == expected
    assert state_after(groups) == expected
    assert state_after([event] for event in disordered) == expected


@given(log=LOGS, data=st.data())
def test_references_do_not_depend_on_order_or_on_who_won(log: list[Any], data: st.DataObject) -> None:
    one, other = Fold(log), Fold(data.draw(st.permutations(log)))
    owners = {
        event["data"]["user_id"]
        for event in log
        if not event["type"].startswith("user.") and "user_id" in event["data"]
    }
    assert set(one.user_references) == set(other.user_references) == owners
    videos = {event["data"]["video_id"] for event in log if event["type"] == "model_usage.recorded"}
    assert set(one.video_references) == set(other.video_references) == videos


@given(log=LOGS, data=st.data())
def test_a_log_that_keeps_the_contract_has_no_conflicts_however_often_it_is_read(
    log: list[Any], data: st.DataObject
) -> None:
    videos = [event for event in log if event["type"].startswith("video.") and event["type"] != "video.tombstone"]
    assert Fold(data.draw(st.permutations(videos + videos))).conflicts == 0


@pytest.mark.parametrize(
    ("values", "conflicts"),
    [
        ([video("created"), video("created")], 0),
        ([video("created"), video("updated")], 1),
        ([video("created"), video("updated"), video("deleted")], 2),
        ([video("created"), video("updated"), video("created", version=2), video("updated", version=2)], 2),
        ([video("created", 1), video("updated", 2)], 0),
        ([user("created"), user("profile_updated")], 1),
        ([user("created", 1), video("created", 1)], 0),
        ([usage(1), usage(1, model_name="another")], 0),
    ],
    ids=["resent", "two", "three", "two versions", "two videos", "profile", "video and owner", "facts"],
)
def test_different_events_of_one_aggregate_with_one_version_are_counted(values: list[bytes], conflicts: int) -> None:
    assert fold_of(*values).conflicts == conflicts


def test_a_conflict_below_the_highest_version_is_counted_by_its_facet() -> None:
    assert fold_of(video("created"), video("progressed", version=5), video("updated")).conflicts == 1


def test_of_two_events_with_one_version_the_first_wins() -> None:
    first = video("updated", title="first")
    second = structured("video.updated", json.loads(video("updated", owner=2, title="second"))["data"], id="second")
    row = rows_of(fold_of(first, second))["videos"][an_id(1)]
    assert (row["title"], row["user_id"]) == ("first", an_id(1001))
    row = rows_of(fold_of(second, first))["videos"][an_id(1)]
    assert (row["title"], row["user_id"]) == ("second", an_id(1002))


def test_of_two_facts_with_one_id_the_first_stands() -> None:
    fold = fold_of(usage(1, model_name="first"), usage(1, model_name="second"))
    assert [row["model_name"] for row in rows_of(fold)["model_usage"].values()] == ["first"]


@pytest.mark.parametrize("reverse", [False, True], ids=["in order", "reversed"])
def test_the_owner_follows_the_highest_version_and_every_owner_is_referred_to(reverse: bool) -> None:
    values = [
        video("created", version=1, owner=1),
        video("processing", version=3, owner=3),
        video("updated", version=2, owner=2),
    ]
    fold = fold_of(*(reversed(values) if reverse else values))
    assert rows_of(fold)["videos"][an_id(1)]["user_id"] == an_id(1003)
    assert set(plan(fold).referenced_users()) == {an_id(1001), an_id(1002), an_id(1003)}


def test_facets_keep_versions_of_their_own() -> None:
    fold = fold_of(
        video("created", version=1, title="old", description="gone with the update"),
        video("progressed", version=5, progress=70),
        video("updated", version=3, title="new"),
        video("processing", version=2),
    )
    row = rows_of(fold)["videos"][an_id(1)]
    assert (row["title"], row["description"], row["details_version"]) == ("new", None, 3)
    assert (row["status"], row["progress"], row["state_version"]) == ("processing", 70, 5)
    assert (row["start_version"], row["version"]) == (2, 5)


def test_on_equal_versions_updated_at_is_the_greater_and_created_at_the_earliest() -> None:
    values = [
        structured("video.deleted", json.loads(video("deleted"))["data"], time=f"2026-01-05T1{n}:00:00Z")
        for n in (1, 3, 2)
    ]
    row = rows_of(fold_of(*values))["videos"][an_id(1)]
    assert (row["created_at"].hour, row["updated_at"].hour, row["deleted_at"].hour) == (11, 13, 11)


def test_an_erasure_wins_over_every_version_that_a_publisher_can_send() -> None:
    erasure = event_of(record(None, key=an_id(1).encode(), timestamp=0))
    completed = json.loads(video("completed"))
    completed["data"]["version"] = 2**62 - 1
    last = event_of(record(json.dumps(completed).encode()))
    for log in ([erasure, last], [last, erasure]):
        row = rows_of(Fold(log))["videos"][an_id(1)]
        assert {name for name, value in row.items() if value is not None} == {
            *("id", "version", "created_at", "updated_at", "deleted_at"),
            *map(version_column, MERGES["videos"].facets),
        }


def test_events_may_be_added_one_by_one() -> None:
    log = [event_of(item) for item in random_log(7)]
    fold = Fold()
    for event in log:
        fold.add(event)
    assert rows_of(fold) == rows_of(Fold(log))
    assert fold.conflicts == Fold(log).conflicts


def test_one_id_from_two_sources_is_two_events() -> None:
    here, there = (json.loads(video("created")) | {"source": source} for source in ("/a", "/b"))
    fold = Fold(parse_event(json.dumps(document).encode()) for document in (here, there))
    assert fold.conflicts == 1


def test_states_are_those_of_all_events_that_give_one_and_the_earliest_of_a_version() -> None:
    values = [
        video("created", version=1),
        video("processing", version=2),
        video("progressed", version=3, progress=7),
        video("updated", version=4),
        video("failed", version=5, error_code="no_voice"),
        video("deleted", version=6),
    ]
    earlier = json.dumps(json.loads(values[1]) | {"time": "2020-01-01T00:00:00Z"}).encode()
    events = [event_of(record(value)) for value in (*reversed(values), earlier, *values)]
    states = {version: state[1:] for (_, version), state in FoldWithStates(events).states.items()}
    assert states == {1: ("pending", None), 2: ("processing", None), 5: ("failed", "no_voice")}
    assert FoldWithStates(events).states[an_id(1), 2][0].year == 2020
    assert Fold(events).states == {}


def test_states_cost_nothing_where_they_are_not_kept() -> None:
    assert (fold_type(video_states=False), fold_type(video_states=True)) == (Fold, FoldWithStates)
