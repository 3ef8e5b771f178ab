"""Parts of /status.json that the page shows: statements, the latest dead letters, the page's own policy."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from reelsync.consumer.records import Reason, StoredRecord
from reelsync.consumer.status.document import BatchStatus
from reelsync.consumer.status.page import status_page
from reelsync.consumer.status.path_observer import replayed_of
from reelsync.consumer.status.recent_dead_letters import KEPT, latest_few, latest_of, parked_now
from reelsync.consumer.status.statements import statements
from reelsync.consumer.telemetry.metrics import Metrics
from reelsync.consumer.timing.query_timing import QueryTiming
from reelsync.consumer.transform.decode import Rejection


def test_statements_add_up_over_successes_and_errors() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.0007, 0.03):
        metrics.query(QueryTiming("videos.merge", seconds, 1))
    metrics.query(QueryTiming("videos.merge", 99.0, error_type="57"))
    metrics.query(QueryTiming("commit", 0.004, -1))
    found = statements(metrics.query_seconds)
    merge, commit = found.queries
    assert found.bounds_seconds == [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0]
    assert (merge.query_name, merge.calls, merge.failed, merge.seconds) == ("videos.merge", 4, 1, 99.0312)
    assert merge.counts == [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert (commit.query_name, commit.counts[1], sum(commit.counts)) == ("commit", 1, 1)


def test_no_statement_is_no_query() -> None:
    assert statements(Metrics().query_seconds).queries == []


def test_counters_over_their_labels() -> None:
    metrics = Metrics()
    metrics.retries.labels("outage").inc(2)
    metrics.retries.labels("again").inc()
    assert metrics.retries.counts() == {"outage": 2, "again": 1}
    assert metrics.retries.total() == 3
    assert metrics.fenced.total() == 0


def rejection(reason: Reason, offset: int) -> Rejection:
    record = StoredRecord("video-events", 3, offset, 0, b"swordfish", b"swordfish", [("swordfish", b"swordfish")])
    return Rejection(record, "validate", reason, {"problems": ["swordfish"]}, "swordfish", "swordfish")


def test_the_latest_few_of_each_reason_and_nothing_of_what_is_in_them() -> None:
    parked = parked_now([rejection("unknown_type", 1)], 100.0)
    parked = latest_few([*parked_now([rejection("invalid", offset) for offset in range(1_000)], 110.0), *parked])
    latest = latest_of(parked, 115.0)
    assert [letter.offset for letter in latest] == [999, 998, 997, 1]
    assert len(latest) == KEPT + 1
    assert latest[0].show == "reelsync dlq show video-events/3/999"
    assert (latest[0].seconds_ago, latest[-1].seconds_ago) == (5.0, 15.0)
    assert "swordfish" not in repr(latest)


@pytest.mark.parametrize(
    ("sent", "written", "read_again", "replayed"),
    [
        (500, 500, 0, 0),
        (500, 0, 0, 600),
        (500, 20, 580, 580),
        (500, 400, 580, 0),
        (0, 0, 600, 0),
    ],
    ids=["new", "nothing changed", "a replay with some new events", "another topic of that name", "dead letters alone"],
)
def test_what_of_a_batch_is_a_replay(sent: int, written: int, read_again: int, replayed: int) -> None:
    batch = BatchStatus(records=600, dead_letters=0, rows_sent=sent, rows_written=written, seconds={})
    assert replayed_of(batch, read_again) == replayed


def test_the_policy_names_what_is_in_the_page_and_no_place_outside() -> None:
    html, policy = status_page()
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    addresses = set(re.findall(r"https?://[^\"')\s]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}, "names of namespaces only: nothing is loaded from elsewhere"
    for parsed in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        " style=",
        " onclick=",
    ):
        assert parsed not in html
