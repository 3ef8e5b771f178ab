"""The latest dead letters of each reason, by where they are. Nothing of what is in them."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from .decode import Reason, Rejection, Stage

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


class LatestDeadLetters:
    """Keeps the latest few of each reason. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[Reason, deque[tuple[float, LatestDeadLetter]]] = {}

    def add(self, rejections: Iterable[Rejection]) -> None:
        """Records were parked just now, in this order."""
        now = self._clock()
        for rejection in rejections:
            self._kept.setdefault(rejection.reason, deque(maxlen=KEPT)).append((now, _of(rejection)))

    def latest(self) -> list[LatestDeadLetter]:
        """The latest first."""
        now = self._clock()
        kept = sorted((entry for letters in self._kept.values() for entry in reversed(letters)), key=lambda e: -e[0])
        return [_aged(letter, now - at) for at, letter in kept]


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
