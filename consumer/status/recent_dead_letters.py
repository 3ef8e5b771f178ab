"""The latest dead letters of each reason, by where they are. Nothing of what is in them."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from reelsync.consumer.transform.decode import Reason, Rejection, Stage

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


class LatestDeadLetters:
    """Keeps the latest few of each reason. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Reason, deque[Parked]] = {}

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Records were parked just now, in this order."""
        now = self._clock()
        for rejection in rejections:
            self._kept.setdefault(rejection.reason, deque(maxlen=KEPT)).append((now, _of(rejection)))

    def latest(self) -> list[LatestDeadLetter]:
        """The latest first."""
        return latest_of(self.kept(), self._clock())

    def kept(self) -> list[Parked]:
        """Those of each reason, the latest first."""
        return [parked for letters in self._kept.values() for parked in reversed(letters)]


def latest_of(parked: Iterable[Parked], now: float) -> list[LatestDeadLetter]:
    """The latest few of each reason, the latest first. Letters of one moment stay in order."""
    return [_aged(letter, now - at) for at, letter in latest_few(parked)]


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


def _aged(letter: LatestDeadLetter, seconds: float) -> LatestDeadLetter:
    return replace(letter, seconds_ago=round(seconds, 1))
