"""The hybrid clock: versions of an aggregate rise whatever wall clocks do, as far as it promises and no further."""

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.events.fields import MAX_VERSION
from reelsync.events.publishing import HybridClock
from reelsync.events.publishing.clock import time_of

NOW = 1_767_607_200_000
FAR = 7_258_118_400_000
"""The year 2200."""

steps = st.lists(st.integers(-(10**9), 10**6) | st.integers(-3, 3), min_size=1, max_size=60)


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@given(steps)
def test_one_clock_rises_whatever_the_wall_clock_does(moves: list[int]) -> None:
    wall = Wall()
    clock = HybridClock(wall_clock=wall)
    given_out = []
    for move in moves:
        wall.now += move
        given_out.append(clock.next())
    assert given_out == sorted(set(given_out))
    assert all(1 <= version <= MAX_VERSION for version in given_out)


@given(st.lists(st.tuples(st.integers(-(10**9), 10**6), st.booleans(), st.integers(0, 3)), max_size=60))
def test_after_the_stored_version_it_rises_over_restarts_and_machines(story: list[tuple[int, bool, int]]) -> None:
    """Four machines, each with a wall clock of its own, one lock of the row at a time."""
    walls = [Wall(NOW + 10**7 * machine) for machine in range(4)]
    clocks = [HybridClock(wall_clock=wall) for wall in walls]
    stored = [0]
    for move, restarts, machine in story:
        walls[machine].now += move
        if restarts:
            clocks[machine] = HybridClock(wall_clock=walls[machine])
        stored.append(clocks[machine].next(after=stored[-1]))
    assert stored == sorted(set(stored))


@given(st.lists(st.sampled_from(["counter", "clock"]), max_size=40), st.integers(0, 10**6))
def test_a_row_counter_and_a_clock_may_take_turns_on_one_row(turns: list[str], first: int) -> None:
    clock, stored = HybridClock(wall_clock=Wall()), [first]
    for turn in turns:
        stored.append(stored[-1] + 1 if turn == "counter" else clock.next(after=stored[-1]))
    assert stored == sorted(set(stored))


@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(-5, 5)), max_size=80))
def test_writers_with_numbers_of_their_own_never_give_the_same_version(
    nodes: int, turns: list[tuple[int, int]]
) -> None:
    """They know nothing of each other, and their wall clocks show the same."""
    wall = Wall()
    clocks = [HybridClock(node=node, nodes=nodes, wall_clock=wall) for node in range(nodes)]
    given_out = []
    for turn, move in turns:
        wall.now += move
        given_out.append(clocks[turn % nodes].next())
    assert len(set(given_out)) == len(given_out)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_across_a_restart_without_a_stored_version_the_clock_may_step_back_by_the_time_it_was_down(
    down: int, back: int
) -> None:
    wall = Wall()
    before = HybridClock(wall_clock=wall).next()
    wall.now += down - back
    after = HybridClock(wall_clock=wall).next()
    assert (after > before) == (down > back)


@given(st.lists(st.integers(-1_000, 3), min_size=1, max_size=3_000))
def test_it_leads_the_wall_clock_by_no_more_than_it_gave(moves: list[int]) -> None:
    """Theorem 3 of the paper, for one node: by one millisecond for every 1,024 versions within one."""
    wall = Wall()
    clock, highest = HybridClock(wall_clock=wall), 0
    for number, move in enumerate(moves):
        wall.now += move
        highest = max(highest, wall.now)
        lead = (clock.next() >> 10) - highest
        assert 0 <= lead <= number // 1024 + 1


def test_the_last_version_that_was_kept_is_gone_on_from() -> None:
    kept = HybridClock(wall_clock=Wall(NOW + 10**9)).next()
    assert HybridClock(last=kept, wall_clock=Wall()).next() == kept + 1


@pytest.mark.parametrize("wall", [-5, 0, NOW, FAR, 10**15], ids=str)
def test_no_wall_clock_leads_out_of_the_versions(wall: int) -> None:
    assert 1 <= HybridClock(wall_clock=Wall(wall)).next() < 2**53


def test_a_version_tells_its_time() -> None:
    version = HybridClock(wall_clock=Wall()).next()
    assert time_of(version) == datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: HybridClock().next(after=-1),
        lambda: HybridClock().next(after=2**62),
        lambda: HybridClock().next(after=MAX_VERSION),
        lambda: HybridClock(last=2**62),
        lambda: HybridClock(node=2, nodes=2),
    ],
)
def test_what_no_version_follows_is_an_error(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"must be|no version"):
        wrong()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_may_share_one() -> None:
    clock = HybridClock(wall_clock=Wall())
    given_out: list[int] = []

    def take() -> None:
        mine = [clock.next() for _ in range(5_000)]
        assert mine == sorted(mine)
        given_out.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given_out)) == 20_000
