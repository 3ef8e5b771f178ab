"""Whether a stored position fits the log: what is read on, and what halts a partition."""

import pytest

from reelsync.consumer.offsets.check import LogState, check_position
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.records import Anchor

ANCHOR = Anchor(9, 1_000, 42)
HERE = Stored(10, "here", ANCHOR)


@pytest.mark.parametrize(
    ("stored", "log", "cluster"),
    [
        (HERE, LogState(0, 20, ANCHOR), "here"),
        (HERE, LogState(0, 10, ANCHOR), "here"),
        (HERE, LogState(10, 20, None), "here"),
        (HERE, LogState(10, 10, None), "here"),
        (HERE, LogState(0, 20, None), "here"),
        (HERE, LogState(0, 20, ANCHOR), None),
        (Stored(10, None, ANCHOR), LogState(0, 20, ANCHOR), "there"),
        (Stored(10, "here", None), LogState(0, 20, None), "here"),
        (Stored(10, "here", None), LogState(0, 20, ANCHOR), "here"),
        (Stored(0, None, None), LogState(0, 0, None), None),
        (HERE._replace(topic_id="old"), LogState(0, 20, ANCHOR, "old"), "here"),
        (HERE._replace(topic_id="old"), LogState(0, 20, ANCHOR), "here"),
        (HERE, LogState(0, 20, ANCHOR, "new"), "here"),
        (Stored(0, "here", None, "old"), LogState(0, 20, None, "new"), "here"),
    ],
    ids=[
        "in the middle",
        "at the end",
        "at the begin",
        "in an empty log",
        "anchor gone",
        "cluster not known now",
        "cluster not stored",
        "no anchor stored",
        "an anchor only in the log",
        "nothing yet",
        "the same topic",
        "a broker without topic ids",
        "stored without a topic",
        "another topic, and nothing taken before",
    ],
)
def test_reading_goes_on_where_nothing_is_skipped_or_repeated(
    stored: Stored, log: LogState, cluster: str | None
) -> None:
    assert check_position(stored, log, cluster) is None


@pytest.mark.parametrize(
    ("log", "cluster", "reason", "words"),
    [
        (LogState(11, 20, None), "here", "retention", ["10", "11", "up to 1 records"]),
        (LogState(500, 600, None), "here", "retention", ["up to 490 records"]),
        (LogState(0, 9, None), "here", "truncated", ["10", "ends at 9"]),
        (LogState(0, 0, None), "here", "truncated", ["ends at 0"]),
        (LogState(0, 20, ANCHOR._replace(crc=43)), "here", "recreated", ["offset 9"]),
        (LogState(0, 20, ANCHOR._replace(timestamp=1_001)), "here", "recreated", ["offset 9"]),
        (LogState(0, 20, ANCHOR), "there", "other_cluster", ["here", "there"]),
        (LogState(11, 20, None), "there", "other_cluster", ["here", "there"]),
    ],
    ids=["one lost", "many lost", "shorter", "empty", "other bytes", "other time", "other cluster", "cluster first"],
)
def test_any_other_position_halts_with_the_reason_and_the_numbers(
    log: LogState, cluster: str, reason: str, words: list[str]
) -> None:
    halt = check_position(HERE, log, cluster)
    assert halt is not None
    assert halt.reason == reason
    assert [word for word in words if word not in halt.message] == []


@pytest.mark.parametrize(
    "log", [LogState(0, 20, ANCHOR, "new"), LogState(0, 3, None, "new"), LogState(11, 20, None, "new")]
)
def test_another_topic_halts_whatever_its_log_has(log: LogState) -> None:
    halt = check_position(HERE._replace(topic_id="old"), log, "here")
    assert halt is not None
    assert halt.reason == "recreated"
    assert [word for word in ("10", "old", "new") if word not in halt.message] == []
