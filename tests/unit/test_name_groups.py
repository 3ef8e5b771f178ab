"""Which name conflicts are redriven together."""

import random
from itertools import chain

import pytest

from reelsync.consumer.dead_letters.name_groups import Claim, parts_of, ties_of
from reelsync.consumer.dead_letters.table import LetterKey
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.consumer.transform.decode import Rejection
from tests.support.builders import an_id, record, user
from tests.support.decoding import decode


def claim(offset: int, *ties: str) -> Claim:
    return Claim(LetterKey("user-events", 0, offset, 0, 0), tuple(("user", tie) for tie in ties))


def offsets(claims: list[Claim], at_once: int) -> list[list[int]]:
    return [[key.offset for key in part] for part in parts_of(claims, at_once)]


def test_what_is_tied_however_indirectly_is_in_one_part() -> None:
    claims = [claim(0, "a", "b"), claim(1, "c", "d"), claim(2, "b", "e"), claim(3, "e", "f"), claim(4), claim(5)]
    assert offsets(claims, 1) == [[0, 2, 3], [1], [4], [5]]
    assert offsets(claims, 3) == [[0, 2, 3], [1, 4, 5]]
    assert offsets([], 3) == []


@pytest.mark.parametrize("seed", range(20))
def test_each_letter_is_in_one_part_and_no_tie_leads_out_of_it(seed: int) -> None:
    rng = random.Random(seed)
    claims = [claim(n, *rng.sample("abcdefghijklmnopqrstuvwxyz", rng.randint(0, 3))) for n in range(25)]
    parts = offsets(claims, rng.randint(1, 9))
    assert sorted(chain.from_iterable(parts)) == list(range(25))
    ties = [{tie for offset in part for tie in claims[offset].ties} for part in parts]
    assert sum(len(some) for some in ties) == len(set().union(*ties))


def test_an_event_is_tied_to_its_user_and_to_the_names_it_has_and_wants() -> None:
    def ties(value: bytes, **held: object) -> set[tuple[str, str]]:
        event = decode(record(value, topic="user-events"), DEFAULT_TOPICS, 524_288)
        assert not isinstance(event, Rejection)
        return set(ties_of(event, held))

    its_user = ("user", an_id(1001))
    wanted = {("username", "bob"), ("email", "bob@x")}
    assert ties(user("updated", 1, 2, username="bob", email="bob@x")) == {its_user} | wanted
    assert ties(user("restored", 1, 2), username="bob", email=None) == {its_user, ("username", "bob")}
