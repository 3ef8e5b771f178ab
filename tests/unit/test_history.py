"""The last ten minutes, by a clock that the test turns."""

from collections import Counter
from typing import Any

import pytest

from reelsync.consumer.status.history import STEP_SECONDS, STEPS, History, Step


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


def batch(records: int, age_seconds: float | None = None, **more: Any) -> Step:
    return Step(records=records, age_seconds=age_seconds, **more)


def test_what_happens_within_a_step_adds_up(history: History, clock: Clock) -> None:
    history.committed(batch(10, 3.0, dead_letters=Counter(invalid=1)))
    history.committed(batch(5, 2.0))
    history.watched(7, [])
    history.watched(4, [])
    clock.now += STEP_SECONDS
    history.committed(batch(1))
    series = history.series()
    assert series.records == [15, 1]
    assert series.dead_letters == [1, 0]
    assert series.age_seconds == [3.0, None]
    assert series.lag == [4, None]


def test_time_in_which_nothing_happened_is_there(history: History, clock: Clock) -> None:
    history.committed(batch(10))
    clock.now += 3 * STEP_SECONDS
    assert history.series().records == [10, 0, 0, 0]


def test_it_is_bounded_and_forgets_the_oldest(history: History, clock: Clock) -> None:
    for number in range(2 * STEPS):
        history.committed(batch(number))
        clock.now += STEP_SECONDS
    records = history.series().records
    assert len(records) == STEPS
    assert records == [*range(STEPS + 1, 2 * STEPS), 0]
    clock.now += 1e9
    assert history.series().records == [0] * STEPS


def test_the_rate_is_over_the_time_that_has_passed(history: History, clock: Clock) -> None:
    assert history.recent(15).records_per_second == 0
    history.committed(batch(100))
    clock.now += 2
    assert history.recent(15).records_per_second == 50
    clock.now += 8
    assert history.recent(15).records_per_second == 10
    clock.now += 2 * STEP_SECONDS
    assert history.recent(15).records_per_second == 0, "that was long ago"


def test_recent_adds_up_by_reason_and_phase(history: History, clock: Clock) -> None:
    history.committed(batch(10, 9.0, dead_letters=Counter(invalid=2), phases={"write": 1.0, "poll": 0.5}))
    history.watched(50, [])
    clock.now += STEP_SECONDS
    history.committed(batch(10, 4.0, dead_letters=Counter(invalid=1, not_json=4), phases={"write": 1.0}))
    history.watched(70, [])
    recent = history.recent(60)
    assert recent.dead_letters == {"invalid": 3, "not_json": 4}
    assert recent.phases == {"write": 2.0, "poll": 0.5}
    assert (recent.age_seconds, recent.lag_before) == (9.0, 50)


def test_the_age_grows_while_something_waits_and_nothing_new_is_committed(history: History, clock: Clock) -> None:
    history.committed(batch(10, 2.0))
    clock.now += STEP_SECONDS
    history.watched(7, [])
    clock.now += STEP_SECONDS
    history.watched(None, ["kafka"])
    assert history.series().age_seconds == [2.0, 7.0, 12.0]
    history.committed(batch(7, 13.0))
    clock.now += STEP_SECONDS
    history.watched(0, [])
    clock.now += STEP_SECONDS
    assert history.series().age_seconds == [2.0, 7.0, 13.0, None, None], "nothing waits any more"


def test_what_came_after_nothing_waited_is_no_older_than_that(history: History, clock: Clock) -> None:
    history.committed(batch(10, 86_400.0))
    clock.now += 2 * STEP_SECONDS
    history.watched(0, [])
    clock.now += STEP_SECONDS
    history.watched(3, ["postgresql"])
    assert history.series().age_seconds[-1] == STEP_SECONDS


def test_a_replay_of_old_events_is_as_old_as_the_time_that_it_takes(history: History, clock: Clock) -> None:
    history.watched(0, [])
    for _ in range(3):
        clock.now += STEP_SECONDS
        history.committed(batch(500, None, replayed=500))
        history.watched(60_000, [])
    assert history.series().age_seconds == [None, 5.0, 10.0, 15.0]
    assert history.recent(10).replayed == 1_500


def test_no_age_is_known_before_anything_was_committed(history: History) -> None:
    history.watched(60_000, ["postgresql"])
    assert history.series().age_seconds == [None]


def test_starts_and_outages_are_marked_in_their_steps(history: History, clock: Clock) -> None:
    history.started()
    clock.now += STEP_SECONDS
    history.watched(0, ["postgresql", "kafka"])
    history.watched(0, ["kafka"])
    clock.now += STEP_SECONDS
    other = History(clock)
    other.started()
    history.add(other.steps)
    series = history.series()
    assert series.starts == [1, 0, 1]
    assert series.away == [[], ["kafka", "postgresql"], []]
    clock.now += 1.5
    assert history.series().last_step_seconds == 1.5
