"""How long statements took, read back from the histogram of the metrics."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from prometheus_client.registry import Collector


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
    """Calls in each bucket; one more than there are bounds, for what is slower than all."""


@dataclass(frozen=True)
class Statements:
    """`bounds_seconds`: the upper bounds of the buckets. `queries`: those that took the most time first."""

    bounds_seconds: list[float]
    queries: list[StatementTimings]


def statements(histogram: Collector) -> Statements:
    """What `db_client_operation_duration_seconds` has seen, with the successes and errors of a query name together."""
    queries: dict[str, StatementTimings] = {}
    cumulative: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for sample in (sample for metric in histogram.collect() for sample in metric.samples):
        name = sample.labels["query_name"]
        query = queries.setdefault(name, StatementTimings(name))
        if sample.name.endswith("_bucket"):
            cumulative[name][float(sample.labels["le"])] += sample.value
        elif sample.name.endswith("_count"):
            query.calls += int(sample.value)
            query.failed += int(sample.value) if sample.labels["error_type"] else 0
        elif sample.name.endswith("_sum"):
            query.seconds += sample.value
    for name, query in queries.items():
        query.counts = _differences(cumulative[name])
        query.seconds = round(query.seconds, 6)
    bounds = sorted({bound for buckets in cumulative.values() for bound in buckets if bound != inf})
    return Statements(bounds, sorted(queries.values(), key=lambda query: -query.seconds))


def _differences(cumulative: dict[float, float]) -> list[int]:
    counts = [0.0, *(cumulative[bound] for bound in sorted(cumulative))]
    return [int(after - before) for before, after in pairwise(counts)]
