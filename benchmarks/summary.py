"""All turns of one contender in one line: medians, and the range of the rate."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks.contenders import Contender
from benchmarks.measure import Turn

_MILLION = 1_000_000


class Summary(NamedTuple):
    """One contender on one workload."""

    workload: str
    contender: str
    title: str
    guarantee: str
    events: int
    rounds: int
    rate: float
    """Events a second, the median of the rounds."""
    slowest: float
    fastest: float
    second_half: float
    """Events a second without the start, also the median."""
    of_ceiling: float | None
    """The rate divided by that of the database alone, with as many connections if that was measured, or with one."""
    client_cpu: float
    """CPU seconds for a million events, like the next two."""
    postgres_cpu: float | None
    broker_cpu: float | None
    peak_memory: int
    """Bytes, of all its processes together, in the largest round."""
    rows_per_event: float
    wal_per_event: float
    wrong_rows: int | None
    """The number in the worst round; None if the rows were not compared."""


def summarise(workload: str, contender: Contender, turns: Sequence[Turn], ceiling: float | None) -> Summary:
    """The summary of these turns, one for each round. `ceiling` is the rate of the database alone."""
    rates = [turn.rate for turn in turns]
    wrong = [turn.wrong_rows for turn in turns if turn.wrong_rows is not None]
    rate = median(rates)
    return Summary(
        workload=workload,
        contender=contender.name,
        title=contender.title,
        guarantee=contender.guarantee,
        events=turns[0].events,
        rounds=len(turns),
        rate=rate,
        slowest=min(rates),
        fastest=max(rates),
        second_half=median(turn.second_half_rate for turn in turns),
        of_ceiling=rate / ceiling if ceiling else None,
        client_cpu=_per_million(turns, lambda turn: turn.client_cpu) or 0.0,
        postgres_cpu=_per_million(turns, lambda turn: turn.postgres_cpu),
        broker_cpu=_per_million(turns, lambda turn: turn.broker_cpu),
        peak_memory=max(turn.peak_memory for turn in turns),
        rows_per_event=median(turn.rows_written / turn.events for turn in turns),
        wal_per_event=median(turn.wal_bytes / turn.events for turn in turns),
        wrong_rows=max(wrong) if wrong else None,
    )


def median_turn(turns: Sequence[Turn]) -> Turn:
    """The turn with the median rate."""
    return sorted(turns, key=lambda turn: turn.rate)[len(turns) // 2]


def as_json(summary: Summary) -> dict[str, Any]:
    """The summary as JSON."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in summary._asdict().items()}


def _per_million(turns: Sequence[Turn], of: Callable[[Turn], float | None]) -> float | None:
    costs = [cost * _MILLION / turn.events for turn in turns if (cost := of(turn)) is not None]
    return median(costs) if costs else None
