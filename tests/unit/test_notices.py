"""How it is, in words: the sentence at the top of the status page."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from reelsync.consumer.health.health import BackingOff
from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.records import Partition
from reelsync.consumer.status.history import Recent
from reelsync.consumer.status.notices import Facts, notices
from reelsync.consumer.status.wording import duration, in_words


def recent(records: int = 0, seconds: float = 10.0, **given: Any) -> Recent:
    defaults: dict[str, Any] = {"dead_letters": Counter(), "phases": {}, "age_seconds": None, "lag_before": None}
    return Recent(seconds=seconds, records=records, **(defaults | given))


IDLE = Facts(
    now=100.0,
    not_live=[],
    schema_verified=True,
    settled=True,
    unreachable={},
    backing_off={},
    halted={},
    open_transactions={},
    reading=9,
    lag=0,
    present=recent(),
    minute=recent(),
    pool_in_use=1,
    pool_limit=50,
)
P0, P1 = Partition("video-events", 0), Partition("video-events", 1)


def said(**facts: Any) -> list[tuple[str, str]]:
    return [(notice.level, notice.text) for notice in notices(replace(IDLE, **facts))]


@pytest.mark.parametrize(
    ("facts", "level", "text"),
    [
        ({}, "ok", "Caught up: nothing waits in 9 partitions"),
        ({"lag": None}, "ok", "Reading 9 partitions; how much waits is not known yet"),
        (
            {"lag": 30, "present": recent(12_400, age_seconds=3.0)},
            "ok",
            "Applying 1,240 records/s, 3.0 s behind",
        ),
        (
            {"lag": 12_400, "present": recent(12_400, age_seconds=42, lag_before=20_000)},
            "ok",
            "Catching up: applying 1,240 records/s, 42 s behind; 12,400 records to go, 10 s at this rate",
        ),
        (
            {"lag": 99_000, "present": recent(10_000, lag_before=130_000), "minute": recent(1, phases={"write": 9.0})},
            "warning",
            "Catching up: applying 1,000 records/s; 99,000 records to go, most of the time in write, 99 s at this rate",
        ),
        (
            {"lag": 20_000, "present": recent(10_000, lag_before=10_000)},
            "warning",
            "Falling behind: applying 1,000 records/s; 20,000 records to go",
        ),
        ({"lag": 500}, "warning", "500 records to go, and none was applied in the last 10 s"),
        (
            {"not_live": ["no progress for 200 s"]},
            "error",
            "Stuck: no progress for 200 s",
        ),
        ({"schema_verified": False, "settled": False}, "warning", "Starting: the schema is not verified yet"),
        (
            {"settled": False, "unsettled_seconds": 12.0},
            "warning",
            "Joining the group for 12 s: partitions are not assigned yet, or their positions are not known",
        ),
        (
            {"lag": 24_800, "present": recent(124_000, replayed=123_000, lag_before=0)},
            "ok",
            "Replaying 12,400 records/s, which change no row; 24,800 records to go, 2.0 s at this rate",
        ),
        ({"pool_in_use": 50}, "warning", "All 50 connections of the pool are in use"),
    ],
)
def test_the_headline(facts: dict[str, Any], level: str, text: str) -> None:
    assert said(**facts)[0] == (level, text)


def test_joining_for_long_says_what_to_do_and_an_outage_is_no_joining() -> None:
    (brief,) = notices(replace(IDLE, settled=False, unsettled_seconds=59.0))
    assert brief.fix is None
    (long,) = notices(replace(IDLE, settled=False, unsettled_seconds=60.0))
    assert long.fix
    assert long.fix.startswith("see the log: poll.failed says what fails")
    assert long.command == "reelsync check"
    assert [kind for kind, _ in said(settled=False, unreachable={"kafka": "TimeoutError"})] == ["error"]


def test_an_outage_names_the_server_the_cause_and_the_next_attempt() -> None:
    off = BackingOff("ConnectionRefusedError", 40.0, outage=True, server="postgresql", attempts=12, next_at=104.0)
    (notice,) = notices(replace(IDLE, lag=500, backing_off={"write": off}))
    assert notice.text == "Waiting for PostgreSQL: connection refused, next try in 4.0 s (for 60 s, 12 attempts so far)"
    assert (notice.level, notice.kind) == ("error", "waiting")
    assert notice.fix


def test_an_attempt_that_is_under_way_is_not_announced() -> None:
    off = BackingOff("ConnectionRefusedError", 40.0, outage=True, server="postgresql")
    assert "trying again now" in said(backing_off={"write": off})[0][1]


def test_both_servers_may_be_away() -> None:
    texts = said(unreachable={"postgresql": "TimeoutError", "kafka": "KafkaConnectionError"})
    assert texts == [
        ("error", "Waiting for PostgreSQL: no answer in time"),
        ("error", "Waiting for Kafka: no connection"),
    ]


def test_a_server_that_was_not_asked_yet_is_not_away() -> None:
    assert said(unreachable={"kafka": "not asked yet"}, settled=False)[0][0] == "warning"


def test_an_outage_at_the_start_is_that_of_the_server_that_does_not_answer() -> None:
    off = BackingOff("TimeoutError", 40.0, outage=True)
    facts = {"schema_verified": False, "backing_off": {"start": off}}
    assert said(**facts)[0][1].startswith("Waiting for the servers: no answer in time")
    assert said(**facts, unreachable={"kafka": "KafkaTimeoutError"})[0][1].startswith("Waiting for Kafka: no answer")


def test_a_halted_partition_comes_with_its_remedy_while_others_go_on() -> None:
    halt = Halt("truncated", "the position is 1000, the log ends at 11")
    first, second = notices(replace(IDLE, halted={P1: halt, P0: halt}, present=recent(100)))
    assert first.text == "2 partitions halted: video-events/0: the position is 1000, the log ends at 11; and 1 more"
    assert first.command == "reelsync offsets reset video-events 0 --to earliest"
    assert second.text.startswith("Applying")


def test_a_poison_storm_is_told_before_the_rate_and_a_single_letter_after_it() -> None:
    storm = recent(1_000, dead_letters=Counter(not_json=300, invalid=120))
    first, second = notices(replace(IDLE, minute=storm, present=recent(100)))
    assert first.text == "42 % of the records of the last minute became dead letters: 420, most of them not_json"
    assert (first.level, first.command) == ("warning", "reelsync dlq list --reason not_json")
    assert second.kind == "applying"
    few = recent(6_000, dead_letters=Counter(not_json=47))
    assert said(minute=few)[0] == (
        "warning",
        "0.8 % of the records of the last minute became dead letters: 47, most of them not_json",
    )
    half = recent(100, dead_letters=Counter(not_json=50))
    assert said(minute=half)[0][0] == "error"
    one = recent(1_000, dead_letters=Counter(invalid=1))
    assert said(minute=one)[1] == ("ok", "1 dead letter in the last minute")


def test_name_conflicts_are_no_storm() -> None:
    assert len(said(minute=recent(100, dead_letters=Counter(conflict=100)))) == 1


def test_a_batch_that_is_tried_again_is_told_once_it_takes_long() -> None:
    short = BackingOff("Error, SQLSTATE 40P01", 99.0, outage=False)
    assert said(backing_off={"write": short})[0][0] == "ok"
    long = BackingOff("Error, SQLSTATE 55P03", 90.0, outage=False, attempts=3)
    text = said(backing_off={"write": long})[0][1]
    assert text.startswith(
        "A write fails and is tried again: another session holds a lock for too long (SQLSTATE 55P03)"
    )


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("ConnectionRefusedError", "connection refused"),
        ("Error, SQLSTATE 57P03", "it is starting up or shutting down (SQLSTATE 57P03)"),
        ("Error, SQLSTATE 53100", "its disk is full: make room there (SQLSTATE 53100)"),
        ("Error, SQLSTATE XX000", "Error, SQLSTATE XX000"),
        ("a message for people, as it is", "a message for people, as it is"),
    ],
)
def test_causes_in_words(why: str, words: str) -> None:
    assert in_words(why) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.03, "30 ms"), (4.25, "4.2 s"), (119, "119 s"), (180, "3 min"), (7_199, "120 min"), (1_728_000, "20 days")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
