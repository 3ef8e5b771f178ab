import json
from collections import defaultdict

import pytest

from benchmarks.workloads import LIFECYCLE, OWNERS, WORKLOADS, Workload, owner_ids, padded_lifecycle
from reelsync.consumer.records import StoredRecord
from reelsync.consumer.transform.decode import Rejection
from tests.support.decoding import decode


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_the_same_seed_gives_the_same_log_and_another_one_another(workload: Workload) -> None:
    log = list(workload.records(7, 300))
    assert len(log) == 300
    assert log == list(workload.records(7, 300))
    assert log != list(workload.records(8, 300))


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_every_record_is_a_valid_event_of_a_video_that_its_key_names_and_whose_owner_exists(workload: Workload) -> None:
    owners = set(owner_ids())
    assert len(owners) == OWNERS
    for record in workload.records(1, 300):
        stored = StoredRecord(record.topic, 0, 0, 0, record.key, record.value, ())
        event = decode(stored, {record.topic: "video"}, 10_000)
        assert not isinstance(event, Rejection), event
        assert str(event["data"]["video_id"]).replace("-", "") == record.key.decode().replace("-", "")
        assert json.loads(record.value)["data"]["user_id"] in owners


@pytest.mark.parametrize("name", ["lifecycle", "hot"])
def test_a_video_has_its_versions_in_order(name: str) -> None:
    assert all(versions == sorted(versions) for versions in _versions(WORKLOADS[name]).values())


def test_a_lifecycle_has_six_events() -> None:
    assert max(map(len, _versions(WORKLOADS["lifecycle"]).values())) == len(LIFECYCLE)


def test_disorder_is_the_lifecycle_in_another_order() -> None:
    ordered, disordered = (list(WORKLOADS[name].records(1, 600)) for name in ("lifecycle", "disorder"))
    assert ordered != disordered
    assert sorted(ordered) == sorted(disordered)
    assert any(versions != sorted(versions) for versions in _versions(WORKLOADS["disorder"]).values())


def test_unique_makes_a_row_of_each_event_and_hot_makes_a_thousand() -> None:
    assert len(_versions(WORKLOADS["unique"])) == 600
    assert len(_versions(WORKLOADS["hot"], 20_000)) == 1_000


def test_padding_makes_values_longer_by_as_much() -> None:
    plain, padded = (next(iter(workload.records(1, 6))) for workload in (padded_lifecycle(0), padded_lifecycle(3_000)))
    assert len(padded.value) - len(plain.value) == 3_000 + len(b',"padding":""')


def _versions(workload: Workload, events: int = 600) -> dict[bytes, list[int]]:
    versions: dict[bytes, list[int]] = defaultdict(list)
    for record in workload.records(1, events):
        versions[record.key].append(json.loads(record.value)["data"]["version"])
    return versions
