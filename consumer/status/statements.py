"""How long statements took, by their names."""

from dataclasses import dataclass, field

from reelsync.consumer.counters import Family


@dataclass
class StatementTimings:
    """The calls of one query name since the process started."""

    query_name: str
    calls: int = 0
    failed: int = 0
    """Of those, with an error, or cancelled."""
    seconds: float = 0.0
    """All calls together."""
    counts: list[int] = field(default_factory=list)
    """Calls in each bucket. The last bucket, for calls slower than all bounds, has no bound."""


@dataclass(frozen=True)
class Statements:
    """`bounds_seconds`: the upper bounds of the buckets. `queries`: those that took the most time first."""

    bounds_seconds: list[float]
    queries: list[StatementTimings]


def statements(durations: Family) -> Statements:
    """What `db_client_operation_duration_seconds` has, with the successes and errors of a query name together."""
    queries: dict[str, StatementTimings] = {}
    for values, series in durations.series.items():
        labels = dict(zip(durations.label_names, values, strict=True))
        name = labels["query_name"]
        query = queries.setdefault(name, StatementTimings(name, counts=[0] * len(series.counts)))
        query.calls += sum(series.counts)
        query.failed += sum(series.counts) if labels["error_type"] else 0
        query.seconds = round(query.seconds + series.value, 6)
        query.counts = [before + more for before, more in zip(query.counts, series.counts, strict=True)]
    slowest_first = sorted(queries.values(), key=lambda query: -query.seconds)
    return Statements(list(durations.bounds) if queries else [], slowest_first)
