"""The last ten minutes of a consumer, in a ring of steps. Pure, but for the clock that it is given; bounded.

Steps are numbered by the clock, which is the same for all processes of a machine: those of several consumers add up.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

STEP_SECONDS = 5.0
STEPS = 120


@dataclass
class Step:
    """What was committed within one step, or in several together. `age_seconds`: of the oldest event."""

    number: int = 0
    records: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    age_seconds: float | None = None
    lag: int | None = None
    """The latest that is known."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each phase."""
    failures: Counter[str] = field(default_factory=Counter)
    """Errors of background tasks, by task."""

    def add(self, other: "Step") -> None:
        """Add what happened in another step, or in the same one in another process."""
        self.records += other.records
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
    records: list[int]
    dead_letters: list[int]
    age_seconds: list[float | None]
    lag: list[int | None]


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

    def committed(
        self, records: int, dead_letters: Mapping[str, int], phases: Mapping[str, float], age_seconds: float | None
    ) -> None:
        """A batch was committed; `age_seconds` is None if it had no event."""
        batch = Step(0, records, Counter(dead_letters), age_seconds, phases=dict(phases))
        self._step().add(batch)

    def lag_is(self, lag: int | None) -> None:
        """Note the lag."""
        self._step().lag = lag

    def task_failed(self, task: str) -> None:
        """A background task failed."""
        self._step().failures[task] += 1

    def series(self) -> Series:
        """All steps."""
        steps = self.steps
        return Series(
            step_seconds=STEP_SECONDS,
            records=[step.records for step in steps],
            dead_letters=[step.dead_letters.total() for step in steps],
            age_seconds=[None if step.age_seconds is None else round(step.age_seconds, 3) for step in steps],
            lag=[step.lag for step in steps],
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
