"""The limit on dead letters: both the count and the share, over a window of records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.errors import HaltedError, ReelsyncError
from reelsync.consumer.sink.breaker import DeadLetterLimit


def limit(window: int = 100, count: int = 10, share: float = 0.5) -> DeadLetterLimit:
    return DeadLetterLimit(window, count, share)


@pytest.mark.parametrize(
    "batches",
    [
        [(9, 9)],
        [(1_000, 499)],
        [(10, 4)] * 100,
        [(21, 10)],
        [(100, 0), (19, 9)],
        [(0, 0)] * 5,
        [(9, 9), (100, 0), (9, 9), (100, 0)],
    ],
    ids=["few", "small share", "small share for long", "just under the share", "few after many", "nothing", "long ago"],
)
def test_poison_does_not_stop_the_consumer(batches: list[tuple[int, int]]) -> None:
    dead_letters = limit()
    for batch in batches:
        dead_letters.admit(*batch)


@pytest.mark.parametrize(
    ("before", "last"),
    [([], (10, 10)), ([], (20, 10)), ([(10, 9)], (2, 1)), ([(5, 5)], (5, 5)), ([(500, 0)], (200, 150))],
    ids=["all", "at the share", "with an earlier batch", "half and half", "after a long quiet"],
)
def test_many_dead_letters_that_are_a_large_share_stop_the_consumer(
    before: list[tuple[int, int]], last: tuple[int, int]
) -> None:
    dead_letters = limit()
    for batch in before:
        dead_letters.admit(*batch)
    with pytest.raises(HaltedError):
        dead_letters.admit(*last)


def test_the_error_says_how_many_of_how_many_and_what_to_do() -> None:
    dead_letters = limit()
    dead_letters.admit(10, 9)
    with pytest.raises(ReelsyncError, match=r"10 of the last 12 records .*`reelsync dlq list`.*MAX_COUNT"):
        dead_letters.admit(2, 1)


def test_a_batch_leaves_the_window_once_the_later_ones_fill_it() -> None:
    full = limit(window=20)
    full.admit(9, 9)
    full.admit(20, 9)
    almost = limit(window=20)
    almost.admit(9, 9)
    with pytest.raises(HaltedError, match="18 of the last 28"):
        almost.admit(19, 9)


@given(
    batches=st.lists(st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=30),
    window=st.integers(1, 60),
    count=st.integers(1, 20),
    share=st.floats(0.01, 1),
)
def test_it_stops_at_the_first_batch_after_which_both_limits_are_reached(
    batches: list[tuple[int, int]], window: int, count: int, share: float
) -> None:
    dead_letters = limit(window, count, share)
    for number in range(len(batches)):
        start = number
        while start and sum(records for records, _ in batches[start : number + 1]) < window:
            start -= 1
        records, rejected = map(sum, zip(*batches[start : number + 1], strict=True))
        if rejected >= count and rejected >= share * records:
            with pytest.raises(HaltedError):
                dead_letters.admit(*batches[number])
            return
        dead_letters.admit(*batches[number])


def test_batches_without_records_are_not_kept() -> None:
    dead_letters = limit()
    for _ in range(1_000):
        dead_letters.admit(0, 0)
        dead_letters.withdraw(0)
    assert len(dead_letters._batches) == 0


def test_a_batch_that_was_fenced_counts_once_however_often_it_is_read() -> None:
    dead_letters = limit()
    for _ in range(10):
        dead_letters.admit(9, 9)
        dead_letters.withdraw(9)
    dead_letters.admit(9, 9)
    with pytest.raises(HaltedError):
        dead_letters.admit(9, 9)
