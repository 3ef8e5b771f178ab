"""Places in the log, as a producer got them and as a text names them."""

import pytest

from reelsync.models import Place


@pytest.mark.parametrize(
    "text", ["", "a/1", "a/1/2/3", "a/-1/2", "a/1/x", "/1/2", "a/1/" + "9" * 20, "a b/1/2", "a/²/1"]
)
def test_a_text_that_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="topic/partition/offset"):
        Place.parse(text)


def test_a_record_that_was_not_acknowledged_has_no_place() -> None:
    with pytest.raises(ValueError, match="acks=all"):
        Place.of(Place("some", 0, -1))
