"""When brokers count as silent: polls that waited, and no fetch answered."""

import pytest

from reelsync.consumer.records import Partition
from reelsync.consumer.source.broker_silence import Silence

ONE, TWO = Partition("videos", 0), Partition("videos", 1)


def polls(silence: Silence, seconds: float, answers: dict[Partition, int | None]) -> int:
    """How many polls of 0.25 s within so many seconds found the brokers silent."""
    return sum(silence.waited(0.25, answers) for _ in range(round(seconds / 0.25)))


def test_answers_without_records_are_no_silence() -> None:
    silence = Silence(5)
    assert not any(silence.waited(1, {ONE: at}) for at in range(100))


def test_one_broker_that_answers_is_enough() -> None:
    silence = Silence(5)
    assert not any(silence.waited(1, {ONE: 7, TWO: at}) for at in range(100))


def test_no_answer_for_the_limit_is_silence() -> None:
    silence = Silence(5)
    assert polls(silence, 5, {ONE: 7}) == 0, "the first answer was heard in the first poll"
    assert polls(silence, 0.25, {ONE: 7}) == 1


def test_a_broker_that_never_answered_is_silent_too() -> None:
    assert polls(Silence(5), 5, {ONE: None}) == 1


def test_who_reads_nothing_hears_nothing() -> None:
    assert polls(Silence(5), 100, {}) == 0


def test_records_break_the_silence() -> None:
    silence = Silence(5)
    polls(silence, 4.75, {ONE: None})
    silence.broken()
    assert polls(silence, 4.75, {ONE: None}) == 0


@pytest.mark.parametrize(("seconds", "times"), [(5, 1), (14.75, 1), (15, 2), (35, 3), (75, 4)])
def test_patience_doubles_each_time(seconds: float, times: int) -> None:
    assert polls(Silence(5), seconds, {ONE: None}) == times


def test_patience_ends_at_ten_minutes_and_is_short_again_after_an_answer() -> None:
    silence = Silence(5)
    polls(silence, 20_000, {ONE: None})
    assert polls(silence, 6_000, {ONE: None}) == 10
    assert not silence.waited(0.25, {ONE: 1})
    assert polls(silence, 5, {ONE: 1}) == 1
