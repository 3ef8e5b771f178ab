"""The last ten minutes, by a clock that the test turns."""

import pytest

from reelsync.consumer.status.history import STEP_SECONDS, STEPS, History


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(clock: Clock) -> History:
    return History(clock)


def test_what_happens_within_a_step_adds_up(history: History, clock: Clock) -> None:
    history.committed(10, {"invalid": 1}, {"write": 0.5}, 3.0)
    history.committed(5, {}, {"write": 0.25}, 2.0)
    history.lag_is(7)
    history.lag_is(4)
    clock.now += STEP_SECONDS
    history.committed(1, {}, {}, None)
    series = history.series()
    assert series.records == [15, 1]
    assert series.dead_letters == [1, 0]
    assert series.age_seconds == [3.0, None]
    assert series.lag == [4, None]


def test_time_in_which_nothing_happened_is_there(history: History, clock: Clock) -> None:
    history.committed(10, {}, {}, None)
    clock.now += 3 * STEP_SECONDS
    assert history.series().records == [10, 0, 0, 0]


def test_it_is_bounded_and_forgets_the_oldest(history: History, clock: Clock) -> None:
    for number in range(2 * STEPS):
        history.committed(number, {}, {}, None)
        clock.now += STEP_SECONDS
    records = history.series().records
    assert len(records) == STEPS
    assert records == [*range(STEPS + 1, 2 * STEPS), 0]
    clock.now += 1e9
    assert history.series().records == [0] * STEPS


def test_the_rate_is_over_the_time_that_has_passed(history: History, clock: Clock) -> None:
    assert history.recent(15).records_per_second == 0
    history.committed(100, {}, {}, None)
    clock.now += 2
    assert history.recent(15).records_per_second == 50
    clock.now += 8
    assert history.recent(15).records_per_second == 10
    clock.now += 2 * STEP_SECONDS
    assert history.recent(15).records_per_second == 0, "that was long ago"


def test_recent_adds_up_by_reason_and_phase(history: History, clock: Clock) -> None:
    history.committed(10, {"invalid": 2}, {"write": 1.0, "poll": 0.5}, 9.0)
    history.lag_is(50)
    clock.now += STEP_SECONDS
    history.committed(10, {"invalid": 1, "not_json": 4}, {"write": 1.0}, 4.0)
    history.lag_is(70)
    recent = history.recent(60)
    assert recent.dead_letters == {"invalid": 3, "not_json": 4}
    assert recent.phases == {"write": 2.0, "poll": 0.5}
    assert (recent.age_seconds, recent.lag_before) == (9.0, 50)
