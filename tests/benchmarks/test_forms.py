"""A log says the same in each of its forms: as events, as whole rows, and as row changes of Debezium."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from benchmarks.expected import READ_COLUMNS
from benchmarks.forms import COLUMNS, TOPICS
from benchmarks.published_log import PublishedLog, partition_of, placed
from benchmarks.workloads import WORKLOADS, Workload
from reelsync.consumer.operations.verify.reference import Oracle
from reelsync.consumer.records import StoredRecord
from reelsync.consumer.transform.decode import Rejection, decoder
from reelsync.testing.expected_tables import expected_tables

_IN_ORDER = [workload for workload in WORKLOADS.values() if workload.name != "disorder"]


def test_a_whole_row_has_the_columns_that_readers_see() -> None:
    assert sorted(COLUMNS) == sorted(READ_COLUMNS)


@pytest.mark.parametrize("workload", _IN_ORDER, ids=lambda workload: workload.name)
def test_the_last_row_of_each_video_is_what_its_events_come_to(workload: Workload) -> None:
    rows = {record.video_id: json.loads(record.value) for record in workload.records(3, 900, "rows")}
    assert {key: _typed(row) for key, row in rows.items()} == _expected(workload)


@pytest.mark.parametrize("workload", _IN_ORDER, ids=lambda workload: workload.name)
def test_our_decoder_takes_the_same_rows_from_the_changes(workload: Workload) -> None:
    decode, oracle = decoder({"videos": TOPICS["changes"]}, 10_000), Oracle()
    for offset, record in enumerate(workload.records(3, 900, "changes")):
        event = decode(StoredRecord("videos", 0, offset, 0, record.key, record.value, ()))
        assert not isinstance(event, Rejection), event
        oracle.add(event["type"], event["time"], event["data"])
    found = {key: _read(row) for key, row in oracle.tables()["videos"].items()}
    assert found == _expected(workload)


def test_forms_differ_in_bytes_alone() -> None:
    for name in ("lifecycle", "unique"):
        events, *others = (list(WORKLOADS[name].records(3, 300, form)) for form in ("events", "rows", "changes"))
        for records in others:
            assert [(one.video_id, one.version) for one in records] == [(one.video_id, one.version) for one in events]


def test_markers_end_with_the_last_record_of_each_partition() -> None:
    log = PublishedLog(WORKLOADS["lifecycle"], 3, 2_000, "topic", 3, "template", expected=True, form="rows")
    records: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    for partition, record in placed(log):
        assert partition == partition_of(record.key, 3)
        records[partition].append(record)
    for partition, markers in enumerate(log.markers):
        assert 40 < len(markers) < 60
        assert [marker.done for marker in markers] == sorted({marker.done for marker in markers})
        for marker in markers:
            record = records[partition][marker.done - 1]
            assert (marker.video_id, marker.version) == (record.video_id, record.version)
        assert markers[-1].done == len(records[partition])


def _expected(workload: Workload) -> dict[str, dict[str, Any]]:
    tables = expected_tables(workload.records(3, 900))
    return {key: _read(row) for key, row in tables["videos"].items()}


def _read(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row.get(name) for name in READ_COLUMNS}


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    def typed(name: str, value: Any) -> Any:
        if value is not None and name.endswith("_at"):
            return datetime.fromisoformat(value)
        return UUID(value) if name in {"id", "user_id"} else value

    return {name: typed(name, value) for name, value in row.items()}
