"""Waiting between attempts: longer each time to a limit, with jitter, anew after success."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.backoff import Backoff


@given(shortest=st.floats(0.001, 1), factor=st.floats(1, 1_000), attempts=st.integers(1, 40), seed=st.integers())
def test_every_wait_is_between_half_the_shortest_and_the_limit(
    shortest: float, factor: float, attempts: int, seed: int
) -> None:
    random.seed(seed)
    backoff = Backoff(shortest, shortest * factor)
    for attempt in range(attempts):
        ceiling = min(shortest * factor, shortest * 2**attempt)
        assert shortest / 2 <= backoff.next_delay() <= ceiling * (1 + 1e-9)


def test_waits_grow_to_the_limit_and_stay_there() -> None:
    longest = [max(Backoff(1.0, 8.0, attempts=n).next_delay() for _ in range(200)) for n in range(6)]
    assert [round(wait) for wait in longest] == [1, 2, 4, 8, 8, 8]


def test_two_that_wait_for_the_same_are_not_in_step() -> None:
    waits = {Backoff(1.0, 8.0, attempts=3).next_delay() for _ in range(50)}
    assert len(waits) > 40


def test_after_success_waiting_begins_anew() -> None:
    backoff = Backoff(1.0, 8.0)
    for _ in range(10):
        backoff.next_delay()
    backoff.reset()
    assert backoff.attempts == 0
    assert backoff.next_delay() <= 1.0


@pytest.mark.parametrize("attempts", [10_000, 10**9])
def test_there_is_no_limit_on_attempts(attempts: int) -> None:
    assert 0.05 <= Backoff(attempts=attempts).next_delay() <= 3.0


async def test_wait_returns_the_seconds_that_it_waited() -> None:
    backoff = Backoff(shortest=0.0, longest=0.0)
    assert await backoff.wait() == 0.0
    assert backoff.attempts == 1
