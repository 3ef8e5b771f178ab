"""What became of a record, told from position, dead letter and versions."""

from typing import Any

import pytest

from reelsync.consumer.operations.trace.outcome import Fate, Seen, fate_of
from reelsync.consumer.settings import DEFAULT_TOPICS
from reelsync.events import ERASED_VERSION
from tests.support.builders import an_id, record, usage, user, video
from tests.support.decoding import decode

VIDEO, USER = ("videos", an_id(1)), ("users", an_id(1001))
NONE = dict.fromkeys(("details", "state", "start", "output", "deletion"), 0)


def seen(value: bytes | None, offset: int = 5, **fields: Any) -> Seen:
    found = record(value, offset, **fields)
    return Seen(found, decode(found, DEFAULT_TOPICS, 524_288))


def versions(version: int, **facets: int) -> dict[str, int]:
    return {f"{facet}_version": held for facet, held in (NONE | facets).items()} | {"version": version}


def told(value: bytes, rows: Any, position: int | None = 9, letter: Any = None, others: Any = ()) -> Fate:
    return fate_of(seen(value), position, letter, rows, others)


@pytest.mark.parametrize(
    ("position", "said"), [(None, "never been assigned"), (5, "with 0 offsets"), (3, "with 2 offsets")]
)
def test_what_is_at_or_beyond_the_position_waits(position: int | None, said: str) -> None:
    fate = told(video("created"), {}, position)
    assert (fate.what, said in fate.sentence) == ("waiting", True)


@pytest.mark.parametrize(
    ("held", "what", "said"),
    [
        (versions(1, details=1, state=1), "applied", "details, state in the row, and nothing newer"),
        (versions(4, details=1, state=4), "applied", "details in the row; superseded: state by version 4"),
        (versions(4, details=3, state=4), "superseded", "details by version 3, state by version 4"),
        (versions(1, details=1, state=0), "not_applied", "lacking: state"),
        (None, "not_applied", "lacking: videos"),
    ],
)
def test_facets_stand_or_were_superseded(held: Any, what: str, said: str) -> None:
    fate = told(video("created"), {VIDEO: held} if held else {})
    assert (fate.what, said in fate.sentence) == (what, True), fate.sentence


def test_an_erased_aggregate_is_said_to_be() -> None:
    erased = dict.fromkeys(versions(0), ERASED_VERSION + 5)
    assert told(video("created"), {VIDEO: erased}).what == "erased"


def test_the_tombstone_itself_is_applied() -> None:
    tombstone = seen(None, key=an_id(1).encode(), timestamp=5)
    assert fate_of(tombstone, 9, None, {VIDEO: dict.fromkeys(versions(0), ERASED_VERSION + 5)}, ()).what == "applied"


def test_a_profile_is_a_row_of_its_own_and_its_user_has_no_facet_of_it() -> None:
    rows = {USER: {"version": 2}, ("user_profiles", an_id(1001)): {"profile_version": 2}}
    assert told(user("profile_updated", version=2), rows).what == "applied"


def test_a_fact_is_there_or_not() -> None:
    assert told(usage(), {("model_usage", an_id(2001)): {}}).what == "applied"
    assert told(usage(), {}).what == "not_applied"


def test_a_dead_letter_says_why_and_where_to_look_and_no_value() -> None:
    one = seen(video("progressed", progress=4711))
    letter = {"state": "parked", "reason": "invalid", "detail": one.verdict.detail}
    fate = fate_of(one, 9, letter, {}, ())
    assert fate.what == "dead_letter"
    assert "data.progress" in fate.sentence
    assert "reelsync dlq show video-events/0/5" in fate.sentence
    assert "4711" not in fate.sentence


def test_a_letter_that_was_redriven_is_looked_up_in_the_rows() -> None:
    letter = {"state": "redriven", "reason": "conflict", "detail": {}}
    fate = told(video("created"), {VIDEO: versions(1, details=1, state=1)}, letter=letter)
    assert (fate.what, "redriven" in fate.sentence) == ("applied", True)


def test_no_event_and_no_letter_is_said() -> None:
    assert told(b"poison", {}).what == "no_letter"


def test_duplicates_and_claims_of_one_version_are_named() -> None:
    again, other = seen(video("created"), 7), seen(video("updated"), 8)
    fate = told(video("created"), {VIDEO: versions(1, details=1, state=1)}, others=[again, other])
    assert "the same event as video-events/0/7" in fate.sentence
    assert "video-events/0/8 is another event with its version" in fate.sentence


@pytest.mark.parametrize(
    ("is_blank", "was_corrected", "what", "said"),
    [
        (False, True, "applied", "corrected by hand and redriven"),
        (True, True, "applied", "since made blank"),
        (True, False, "erased", "its aggregate was erased"),
    ],
)
def test_a_closed_letter_that_holds_no_event_was_corrected_or_erased(
    is_blank: bool, was_corrected: bool, what: str, said: str
) -> None:
    letter = {"state": "redriven", "is_blank": is_blank, "was_corrected": was_corrected}
    fate = told(b"no json", {}, letter=letter)
    assert (fate.what, said in fate.sentence) == (what, True)
