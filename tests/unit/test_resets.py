"""What `offsets reset` would do, and when it must not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from reelsync.consumer.offsets.check import Halt
from reelsync.consumer.offsets.store import Stored
from reelsync.consumer.operations.offset_reset import (
    Move,
    OutsideError,
    parse_target,
    plan_moves,
    refusal_while_live,
)
from reelsync.consumer.operations.standing import Logs
from reelsync.consumer.records import Partition

PLACE, OTHER = Partition("video-events", 0), Partition("video-events", 1)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HALT = Halt("retention", "the position is 5, the log begins at 10")


def moves(target, *, at=None, begin=10, end=100, before=50) -> list[Move]:
    logs = Logs("cluster", {PLACE: (begin, end)}, {}, {PLACE: at})
    return plan_moves(logs, {PLACE: Stored(before, "cluster", None)}, {}, target)


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("1042", 1042),
        ("@1767614400000", NOON),
        ("2026-01-05T12:00:00Z", NOON),
        ("2026-01-05T13:00:00+01:00", NOON.astimezone(timezone(timedelta(hours=1)))),
    ],
)
def test_targets(to: str, target: object) -> None:
    assert parse_target(to) == target


@pytest.mark.parametrize(
    "to",
    [
        *("", "first", "-1", "@", "2026-01-05T12:00:00", "2026-01-05", "@99999999999999999999"),
        *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "@-1", "9" * 5_000),
    ],
)
def test_what_is_no_target_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="--to"):
        parse_target(to)


@pytest.mark.parametrize(
    ("target", "at", "after", "replayed", "skipped"),
    [
        ("earliest", None, 10, 40, 0),
        ("latest", None, 100, 0, 50),
        (60, None, 60, 0, 10),
        (50, None, 50, 0, 0),
        (NOON, 20, 20, 30, 0),
        (NOON, None, 100, 0, 50),
    ],
)
def test_where_a_partition_goes(target, at, after: int, replayed: int, skipped: int) -> None:
    (move,) = moves(target, at=at)
    assert (move.after, move.replayed, move.skipped) == (after, replayed, skipped)


def test_positions_outside_the_log_count_what_the_log_has() -> None:
    (below,) = moves("earliest", before=3)
    (above,) = moves("earliest", before=500)
    assert (below.replayed, below.skipped) == (0, 0)
    assert above.replayed == 90


@pytest.mark.parametrize("offset", [9, 101])
def test_an_offset_that_the_log_does_not_have_is_refused(offset: int) -> None:
    with pytest.raises(OutsideError, match="must be from 10 to 100: video-events/0"):
        moves(offset)


def test_a_live_group_refuses_unless_all_that_moves_is_halted() -> None:
    halted, working = Move(PLACE, 5, 10, 10, 100, HALT), Move(OTHER, 50, 10, 10, 100, None)
    staying = working._replace(after=50)
    assert refusal_while_live([halted, staying], "g", 2) is None
    assert refusal_while_live([halted, working], "g", 0) is None
    refusal = refusal_while_live([halted, working], "g", 2)
    assert refusal is not None
    assert "2 members" in refusal
    assert "video-events/1" in refusal
    assert "video-events/0" not in refusal
