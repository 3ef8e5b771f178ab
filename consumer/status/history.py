"""The last ten minutes of a consumer, in a ring of steps. Pure, but for the clock that it is given; bounded.

Steps are numbered by the clock, which is the same for all processes of a machine: those of several consumers add up.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from reelsync.consumer.observer import Server

STEP_SECONDS = 5.0
STEPS = 120


@dataclass
class Step:
    """What happened within one step, or in several together."""

    number: int = 0
    records: int = 0
    """Committed."""
    replayed: int = 0
    """Of those, in batches that sent rows and changed none."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    age_seconds: float | None = None
    """Of the oldest new event that was committed; or, if longer, how long nothing new was while records wait."""
    lag: int | None = None
    """The latest that is known."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each phase."""
    failures: Counter[str] = field(default_factory=Counter)
    """Errors of background tasks, by task."""
    starts: int = 0
    """Of processes."""
    away: set[Server] = field(default_factory=set)
    """Servers that did not answer at some time."""

    def add(self, other: "Step") -> None:
        """Add what happened in another step, or in the same one in another process."""
        self.records += other.records
        self.replayed += other.replayed
        self.starts += other.starts
        self.away |= other.away
        self.dead_letters.update(other.dead_letters)
        self.failures.update(other.failures)
        for phase, seconds in other.phases.items():
            self.phases[phase] = self.phases.get(phase, 0.0) + seconds
        self.age_seconds = max((age for age in (self.age_seconds, other.age_seconds) if age is not None), default=None)
        if other.lag is not None:
            self.lag = other.lag + (self.lag or 0)


@dataclass(frozen=True)
class Series:
    """The steps, the oldest first; the last is not over. None where nothing was seen."""

    step_seconds: float
    last_step_seconds: float
    """The part of the last step that has passed."""
    records: list[int]
    dead_letters: list[int]
    age_seconds: list[float | None]
    lag: list[int | None]
    starts: list[int]
    away: list[list[Server]]


@dataclass
class Recent(Step):
    """The latest steps together. `seconds` is their length, without the part of the last step that is still to come."""

    seconds: float = 0.0
    lag_before: int | None = None
    """The earliest lag that is known of them."""

    @property
    def records_per_second(self) -> float:
        """Records committed, on average."""
        return self.records / self.seconds if self.seconds else 0.0


class History:
    """What happened in each step. `clock` is monotonic, in seconds; nothing is known of the time before `began`."""

    def __init__(self, clock: Callable[[], float], began: float | None = None) -> None:
        self._clock = clock
        self._began = clock() if began is None else began
        self._steps: deque[Step] = deque([Step(_number(self._began))], maxlen=STEPS)
        self._current_at: float | None = None
        """All that happened before this time is committed. None while no such time is known."""

    @property
    def steps(self) -> list[Step]:
        """All steps, the oldest first; the last is not over."""
        self._step()
        return list(self._steps)

    def add(self, steps: Iterable[Step]) -> None:
        """What another consumer did at the same time, as far as it is not too long ago."""
        self._step()
        mine = {step.number: step for step in self._steps}
        for step in steps:
            if same := mine.get(step.number):
                same.add(step)

    def started(self) -> None:
        """A process began."""
        self._step().starts += 1

    def committed(self, batch: Step) -> None:
        """A batch was committed. Its age is None if it had no event, or nothing new."""
        self._step().add(batch)
        if batch.age_seconds is not None:
            # A late event does not mean that others wait.
            self._current_at = max(self._current_at or 0.0, self._clock() - batch.age_seconds)

    def watched(self, lag: int | None, away: Collection[Server]) -> None:
        """Note the lag and the servers that are away, regularly: while something may wait, its age grows."""
        step, now = self._step(), self._clock()
        step.lag = lag
        step.away.update(away)
        if lag == 0:
            self._current_at = now
        elif self._current_at is not None:
            step.age_seconds = max(step.age_seconds or 0.0, now - self._current_at)

    def task_failed(self, task: str) -> None:
        """A background task failed."""
        self._step().failures[task] += 1

    def series(self) -> Series:
        """All steps."""
        steps = self.steps
        return Series(
            step_seconds=STEP_SECONDS,
            last_step_seconds=round(self._clock() - steps[-1].number * STEP_SECONDS, 3),
            records=[step.records for step in steps],
            dead_letters=[step.dead_letters.total() for step in steps],
            age_seconds=[None if step.age_seconds is None else round(step.age_seconds, 3) for step in steps],
            lag=[step.lag for step in steps],
            starts=[step.starts for step in steps],
            away=[sorted(step.away) for step in steps],
        )

    def recent(self, seconds: float) -> Recent:
        """The steps of about so many seconds: the one that is not over, and whole ones before it."""
        first = self._step().number - round(seconds / STEP_SECONDS)
        steps = [step for step in self._steps if step.number >= first]
        recent = Recent(
            seconds=self._clock() - max(self._began, steps[0].number * STEP_SECONDS),
            lag_before=next((step.lag for step in steps if step.lag is not None), None),
        )
        for step in steps:
            recent.add(step)
        return recent

    def _step(self) -> Step:
        """The present step, after empty ones for the time in which nothing happened."""
        number = _number(self._clock())
        for missing in range(max(self._steps[-1].number + 1, number - STEPS + 1), number + 1):
            self._steps.append(Step(missing))
        return self._steps[-1]


def _number(at: float) -> int:
    return int(at / STEP_SECONDS)
