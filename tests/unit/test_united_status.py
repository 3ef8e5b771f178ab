"""The status of several workers, added up out of their reports."""

from dataclasses import replace

from reelsync.consumer.health.health import NOT_ASKED, BackingOff
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.status.document import PoolStatus, Status
from reelsync.consumer.status.history import Step
from reelsync.consumer.status.snapshot import Member, Past, Report
from reelsync.consumer.status.summary import status_of
from reelsync.consumer.telemetry.metrics import Metrics
from tests.support.reports import NOW, P0, P1, P2, report


def status(*members: Member, past: Past | None = None) -> Status:
    metrics = {family.name: family for family in Metrics().families()}
    return status_of("group", NOW, NOW - 100, members, metrics, not_live=[], not_ready=[], past=past or Past())


def test_rates_lags_pools_and_histories_add_up() -> None:
    both = status(
        Member(1, 11, report=report(P0, lag=3, records=60)), Member(2, 12, report=report(P1, lag=4, records=90))
    )
    assert both.lag == 7
    assert both.pool == PoolStatus(open=4, in_use=2, limit=100, size=40, overflow=0, invalid=0)
    assert both.history.records[-2:] == [150, 0]
    assert both.history.lag[-2:] == [7, None]
    assert both.records_per_second == 10.0
    assert [worker.records_per_second for worker in both.workers] == [4.0, 6.0]


def test_a_lag_that_one_worker_does_not_know_is_not_known() -> None:
    assert status(Member(1, 11, report=report(P0)), Member(2, 12, report=report(lag=None))).lag is None
    assert status(Member(1, 11)).lag is None


def test_a_partition_is_told_of_by_who_reads_it() -> None:
    stale = replace(report(P0), positions={P0: 10, P1: 1, P2: 30})
    partitions = status(Member(1, 11, report=stale), Member(2, 12, report=report(P1))).partitions
    assert [(p.partition, p.worker, p.assigned, p.position) for p in partitions] == [
        (0, 1, True, 10),
        (1, 2, True, 20),
        (2, None, False, 30),
    ]


def test_the_partitions_of_a_topic_are_told_together() -> None:
    away = replace(report(P1), unreachable={"postgresql": "TimeoutError", "kafka": NOT_ASKED})
    both = status(Member(1, 11, report=report(P0)), Member(2, 12, report=away))
    assert [p.state for p in both.partitions] == ["reading", "waiting for PostgreSQL", "not read here"]
    (topic,) = both.topics
    assert (topic.topic, topic.partitions, topic.lag) == ("video-events", 3, 0)
    assert topic.states == {"reading": 1, "waiting for PostgreSQL": 1, "not read here": 1}


def test_what_was_applied_proves_that_the_log_is_that_long_unless_the_partition_is_halted() -> None:
    behind = replace(report(P0, P1), ends={P0: 4, P1: 4}, halted={P1: Halt("truncated", "it was truncated")})
    first, second, third = status(Member(1, 11, report=behind)).partitions
    assert (first.position, first.end, first.lag) == (10, 10, 0)
    assert (second.position, second.end, second.state) == (20, 4, "halted")
    assert third.lag is None


def test_tiles_have_the_level_of_what_is_said_about_them() -> None:
    def levels(given: Report) -> dict[str, tuple[str, str | None]]:
        return {tile.name: (tile.figure, tile.level) for tile in status(Member(1, 11, report=given)).tiles}

    fine = levels(report(P0))
    assert list(fine) == ["PostgreSQL", "Kafka", "Throughput", "Event age", "Lag", "Dead letters", "Last batch"]
    assert fine["PostgreSQL"] == ("answers", "ok")
    assert fine["Lag"] == ("0", "ok")
    assert fine["Last batch"] == ("–", None)
    off = BackingOff("ConnectionRefusedError", NOW - 5, outage=True, server="postgresql")
    late = Step(int(NOW / 5), age_seconds=61.0, lag=7)
    outage = levels(replace(report(P0, lag=7), backing_off={"write": off}, steps=[late]))
    assert outage["PostgreSQL"] == ("away", "error")
    assert levels(replace(report(P0), unreachable={"kafka": "TimeoutError"}))["Kafka"] == ("away", "error")
    assert outage["Kafka"] == ("answers", "ok")
    assert outage["Throughput"] == ("0/s", "error")
    assert outage["Lag"] == ("7", "error")
    assert outage["Event age"] == ("61 s", "warning")
    assert levels(replace(report(P0, lag=None), unreachable={"kafka": NOT_ASKED}))["Kafka"] == ("–", None)


def test_an_age_that_grows_says_so() -> None:
    def age(*steps: Step) -> tuple[str, str]:
        (tile,) = [
            t for t in status(Member(1, 11, report=replace(report(), steps=steps))).tiles if t.name == "Event age"
        ]
        return tile.figure, tile.note

    now = int(NOW / 5)
    assert age() == ("–", "no event yet")
    assert age(Step(now - 9, age_seconds=3.0)) == ("3.0 s", "when it was committed")
    assert age(Step(now, records=5, age_seconds=3.0)) == ("3.0 s", "of the oldest event of the last batches")
    assert age(Step(now, age_seconds=3.0)) == ("3.0 s", "it grows: nothing new is committed")
    assert age(Step(now, records=5, replayed=5, age_seconds=3.0)) == ("3.0 s", "it grows: nothing new is committed")


def test_an_outage_is_told_once_and_not_asked_yet_only_if_nobody_has_asked() -> None:
    off = BackingOff("ConnectionRefusedError", NOW - 5, outage=True, server="postgresql")
    away = replace(report(P0), unreachable={"postgresql": "ConnectionRefusedError"}, backing_off={"write": off})
    new = replace(report(), unreachable={"postgresql": NOT_ASKED, "kafka": NOT_ASKED})
    both = status(Member(1, 11, report=away), Member(2, 12, report=replace(away)), Member(3, 13, report=new))
    assert [(server.name, server.reachable) for server in both.servers] == [("postgresql", False), ("kafka", True)]
    assert [notice.kind for notice in both.notices] == ["waiting"]
    assert [off.worker for off in both.backing_off] == [1, 2]
    assert [server.why for server in status(Member(1, 11, report=new)).servers] == [NOT_ASKED, NOT_ASKED]


def test_a_halted_partition_of_any_worker_is_the_headline() -> None:
    halted = replace(report(P0), halted={P1: Halt("truncated", "it was truncated")})
    both = status(Member(1, 11, report=halted), Member(2, 12, report=report(P2)))
    assert both.notices[0].kind == "halted"
    assert [p.worker for p in both.partitions if p.halted] == [1]


def test_a_worker_that_is_gone_is_told_of_and_what_it_did_remains() -> None:
    ended = report(P0, records=60)
    past = Past().with_ended(ended).with_ended(ended)
    member = Member(2, None, restarts=2, absent="ended (SIGKILL) and is started again")
    both = status(Member(1, 11, report=report(P1)), member, past=past)
    assert [n.text for n in both.notices if n.kind == "worker"] == ["Worker 2 ended (SIGKILL) and is started again"]
    gone = both.workers[1]
    assert (gone.pid, gone.live, gone.ready, gone.restarts) == (None, False, False, 2)
    assert both.history.records[-2] == 120


def test_before_any_worker_has_reported_it_is_starting() -> None:
    both = status(Member(1, 11, absent="is starting"), Member(2, 12, absent="is starting"))
    assert both.notices[0].kind == "starting"
    assert not any(server.reachable for server in both.servers)
