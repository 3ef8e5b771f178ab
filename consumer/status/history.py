"""The last ten minutes of a consumer, in a ring of steps. Pure, but for the clock that it is given; bounded.

Steps are numbered by the clock, which is the same for all processes of a machine: those of several consumers add up.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

STEP_SECONDS = 5.0
STEPS = 120


@dataclass
class Step:
    """What was committed within one step. `age_seconds`: of the oldest event; `lag`: the latest that is known."""

    number: int
    records: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    age_seconds: float | None = None
    lag: int | None = None
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds spent in each phase."""
    failures: Counter[str] = field(default_factory=Counter)
    """Errors of background tasks, by task."""


@dataclass(frozen=True)
class Series:
    """The steps, the oldest first; the last is not over. None where nothing was seen."""

    step_seconds: float
    records: list[int]
    dead_letters: list[int]
    age_seconds: list[float | None]
    lag: list[int | None]


@dataclass(frozen=True)
class Recent:
    """The latest steps added up. `seconds`: how long they are, less what is still to come of the last."""

    seconds: float
    records: int
    dead_letters: Counter[str]
    phases: dict[str, float]
    """Seconds spent in each."""
    age_seconds: float | None
    """The greatest."""
    lag_before: int | None
    """The earliest lag seen in them."""
    failures: Counter[str] = field(default_factory=Counter)
    """Errors of background tasks, by task."""

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
                _join(same, step)

    def committed(
        self, records: int, dead_letters: Mapping[str, int], phases: Mapping[str, float], age_seconds: float | None
    ) -> None:
        """A batch was committed; `age_seconds` is None if it had no event."""
        step = self._step()
        step.records += records
        step.dead_letters.update(dead_letters)
        _add(step.phases, phases)
        if age_seconds is not None:
            step.age_seconds = max(age_seconds, step.age_seconds or 0.0)

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
        """About so many seconds: the step that is not over, and whole ones before it."""
        present = self._step()
        steps = list(self._last(present.number - round(seconds / STEP_SECONDS)))
        ages = [step.age_seconds for step in steps if step.age_seconds is not None]
        lags = [step.lag for step in steps if step.lag is not None]
        dead_letters: Counter[str] = Counter()
        phases: dict[str, float] = {}
        failures: Counter[str] = Counter()
        for step in steps:
            dead_letters.update(step.dead_letters)
            failures.update(step.failures)
            _add(phases, step.phases)
        return Recent(
            seconds=self._clock() - max(self._began, steps[0].number * STEP_SECONDS),
            records=sum(step.records for step in steps),
            dead_letters=dead_letters,
            phases=phases,
            age_seconds=max(ages, default=None),
            lag_before=lags[0] if lags else None,
            failures=failures,
        )

    def _last(self, number: int) -> Iterator[Step]:
        return (step for step in self._steps if step.number >= number)

    def _step(self) -> Step:
        """The present step, after empty ones for the time in which nothing happened."""
        number = _number(self._clock())
        for missing in range(max(self._steps[-1].number + 1, number - STEPS + 1), number + 1):
            self._steps.append(Step(missing))
        return self._steps[-1]


def _number(at: float) -> int:
    return int(at / STEP_SECONDS)


def _join(step: Step, other: Step) -> None:
    step.records += other.records
    step.dead_letters.update(other.dead_letters)
    step.failures.update(other.failures)
    _add(step.phases, other.phases)
    step.age_seconds = max((age for age in (step.age_seconds, other.age_seconds) if age is not None), default=None)
    if other.lag is not None:
        step.lag = other.lag + (step.lag or 0)


def _add(total: dict[str, float], phases: Mapping[str, float]) -> None:
    for phase, seconds in phases.items():
        total[phase] = total.get(phase, 0.0) + seconds
