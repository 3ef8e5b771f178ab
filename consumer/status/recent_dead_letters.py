"""The latest dead letters of each reason, by where they are. Nothing of what is in them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reelsync.consumer.records import Reason, Stage
from reelsync.consumer.transform.decode import Rejection

KEPT = 3


@dataclass(frozen=True)
class LatestDeadLetter:
    """A record that was parked, and since when. `show`: the command that shows it whole."""

    reason: Reason
    stage: Stage
    topic: str
    partition: int
    offset: int
    show: str
    seconds_ago: float


Parked = tuple[float, LatestDeadLetter]
"""A letter, and when it was parked, by the monotonic clock."""


def parked_now(rejections: Sequence[Rejection], now: float) -> list[Parked]:
    """The last few of each reason, of records that were parked in this order."""
    seen: Counter[Reason] = Counter()
    parked = []
    for rejection in reversed(rejections):
        seen[rejection.reason] += 1
        if seen[rejection.reason] <= KEPT:
            parked.append((now, _of(rejection)))
    return parked


def latest_of(parked: Iterable[Parked], now: float) -> list[LatestDeadLetter]:
    """The latest few of each reason, the latest first. Letters of one moment stay in order."""
    return [replace(letter, seconds_ago=round(now - at, 1)) for at, letter in latest_few(parked)]


def latest_few(parked: Iterable[Parked]) -> list[Parked]:
    """The latest few of each reason, the latest first."""
    seen: Counter[Reason] = Counter()
    few = []
    for at, letter in sorted(parked, key=lambda parked: -parked[0]):
        seen[letter.reason] += 1
        if seen[letter.reason] <= KEPT:
            few.append((at, letter))
    return few


def _of(rejection: Rejection) -> LatestDeadLetter:
    record = rejection.record
    where = f"{record.topic}/{record.partition}/{record.offset}"
    return LatestDeadLetter(
        rejection.reason,
        rejection.stage,
        record.topic,
        record.partition,
        record.offset,
        f"reelsync dlq show {where}",
        0.0,
    )
