"""The cache of ids that exist: bounded, and never wrong about what it was not told."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.known_ids import KnownIds


def test_what_was_added_is_known_and_the_rest_is_asked_for_in_order() -> None:
    known = KnownIds()
    known.add(["b", "d"])
    assert known.unknown(["a", "b", "c", "d", "e"]) == ["a", "c", "e"]
    assert known.unknown([]) == []


def test_the_oldest_go_first() -> None:
    known = KnownIds(limit=3)
    known.add("abc")
    known.add("de")
    assert known.unknown("abcde") == ["a", "b"]


def test_more_than_the_limit_at_once_leaves_the_latest() -> None:
    known = KnownIds(limit=3)
    known.add("abcdef")
    assert known.unknown("abcdef") == ["a", "b", "c"]


def test_an_id_added_again_takes_no_second_place() -> None:
    known = KnownIds(limit=3)
    known.add("aaab")
    known.add("ab")
    known.add("c")
    assert known.unknown("abc") == []


def test_after_clear_nothing_is_known() -> None:
    known = KnownIds()
    known.add("abc")
    known.clear()
    assert known.unknown("abc") == ["a", "b", "c"]


@given(batches=st.lists(st.lists(st.integers(0, 20).map(str), max_size=8)), limit=st.integers(0, 10))
def test_never_more_than_the_limit_and_never_an_id_that_was_not_added(batches: list[list[str]], limit: int) -> None:
    known = KnownIds(limit)
    for batch in batches:
        known.add(batch)
    everything = [str(number) for number in range(25)]
    held = set(everything) - set(known.unknown(everything))
    assert len(held) <= limit
    assert held <= {one for batch in batches for one in batch}
