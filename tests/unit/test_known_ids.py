"""The cache of ids that exist: bounded, and never wrong about what it was not told."""

from hypothesis import given
from hypothesis import strategies as st

from reelsync.consumer.sink.known_ids import KnownIds


def test_what_was_added_is_known_and_the_rest_is_asked_for_in_order() -> None:
    known = KnownIds()
    known.add(["b", "d"])
    assert known.unknown(["a", "b", "c", "d", "e"]) == ["a", "c", "e"]
    assert known.unknown([]) == []


def test_the_older_generation_goes_first_and_whole() -> None:
    known = KnownIds(generation=2)
    known.add("abc")
    known.add("d")
    assert known.unknown("abcd") == []
    known.add("e")
    assert known.unknown("abcde") == ["a", "b", "c"]


def test_an_id_added_again_is_young_again() -> None:
    known = KnownIds(generation=2)
    known.add("ab")
    known.add("a")
    known.add("c")
    assert known.unknown("abc") == ["b"]


def test_an_id_added_again_takes_no_second_place() -> None:
    known = KnownIds(generation=3)
    known.add("aaab")
    known.add("ab")
    known.add("c")
    assert known.unknown("abc") == []


def test_after_clear_nothing_is_known() -> None:
    known = KnownIds()
    known.add("abc")
    known.clear()
    assert known.unknown("abc") == ["a", "b", "c"]


@given(batches=st.lists(st.lists(st.integers(0, 20).map(str), max_size=8)), generation=st.integers(1, 10))
def test_it_is_bounded_knows_what_came_last_and_never_an_id_that_was_not_added(
    batches: list[list[str]], generation: int
) -> None:
    known = KnownIds(generation)
    for batch in batches:
        known.add(batch)
        assert known.unknown(batch) == []
    everything = [str(number) for number in range(25)]
    held = set(everything) - set(known.unknown(everything))
    assert len(held) < 2 * generation + 8
    assert held <= {one for batch in batches for one in batch}
