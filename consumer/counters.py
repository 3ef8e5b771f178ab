"""What a process measures, as plain numbers: whatever shows them reads these, and those of several processes add up.

The instruments have the methods of prometheus_client's. Unlike those they can be pickled, added and read without being
exposed first.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import inf
from operator import add
from typing import Literal

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

Labels = tuple[str, ...]
Kind = Literal["counter", "gauge", "histogram"]
Together = Literal["sum", "largest", "smallest"]
"""What the values of several processes come to."""
_COMBINED: Mapping[Together, Callable[[float, float], float]] = {"sum": add, "largest": max, "smallest": min}


@dataclass(slots=True)
class Series:
    """A number; or, with `bounds`, a histogram, and then `value` is the sum of what was observed."""

    bounds: tuple[float, ...] = ()
    value: float = 0.0
    counts: list[int] = field(default_factory=list)
    """What was observed, by bucket; the last is for what is above all bounds."""
    created: float = field(default_factory=time.time)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    """The latest of each bucket."""

    def inc(self, amount: float = 1.0) -> None:
        """Count."""
        self.value += amount

    def set(self, value: float) -> None:
        """State how it is now."""
        self.value = value

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Add a value to a histogram; `exemplar` are the labels of the trace in which it was observed."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.value += value
        if exemplar:
            self.exemplars[bucket] = Exemplar(exemplar, value, time.time())

    def plus(self, other: "Series", together: Together) -> "Series":
        """This and the same series of another process."""
        return Series(
            self.bounds,
            _COMBINED[together](self.value, other.value),
            [one + another for one, another in zip(self.counts, other.counts, strict=True)],
            min(self.created, other.created),
            dict(sorted([*self.exemplars.items(), *other.exemplars.items()], key=_observed_at)),
        )


@dataclass
class Family:
    """A metric with all its series, by their labels. `name` is without the `_total` of a counter."""

    name: str
    kind: Kind
    documentation: str
    label_names: Labels = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    together: Together = "sum"
    """The largest, of a thing that one process has at a time: two may show it for a moment. The smallest, of what must
    hold for all.
    """
    series: dict[Labels, Series] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.label_names:
            self.labels()

    def labels(self, *values: object) -> Series:
        """The series with these labels, made when it is first asked for."""
        labels = tuple(map(str, values))
        if labels not in self.series:
            self.series[labels] = Series(self.bounds, counts=[0] * (len(self.bounds) + 1) if self.bounds else [])
        return self.series[labels]

    def inc(self, amount: float = 1.0) -> None:
        """Count, without labels."""
        self.labels().inc(amount)

    def set(self, value: float) -> None:
        """State how it is now, without labels."""
        self.labels().set(value)

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Add a value to a histogram without labels."""
        self.labels().observe(value, exemplar)

    def total(self) -> int:
        """The count over all labels."""
        return int(sum(series.value for series in self.series.values()))

    def counts(self) -> dict[str, int]:
        """What was counted, by the first label."""
        return {labels[0]: int(series.value) for labels, series in self.series.items()}

    def collect(self) -> Iterator[Metric]:
        """The metric as prometheus_client exposes it."""
        metric = Metric(self.name, self.documentation, self.kind)
        for values, series in list(self.series.items()):
            metric.samples += self._samples(dict(zip(self.label_names, values, strict=True)), series)
        yield metric

    def _samples(self, labels: dict[str, str], series: Series) -> Iterator[Sample]:
        if self.kind == "histogram":
            cumulative = list(accumulate(series.counts))
            for bucket, bound in enumerate((*series.bounds, inf)):
                le = {**labels, "le": "+Inf" if bound == inf else str(float(bound))}
                yield Sample(f"{self.name}_bucket", le, cumulative[bucket], None, series.exemplars.get(bucket))
            yield Sample(f"{self.name}_count", labels, cumulative[-1])
            yield Sample(f"{self.name}_sum", labels, series.value)
        else:
            yield Sample(self.name + ("_total" if self.kind == "counter" else ""), labels, series.value)
        if self.kind != "gauge":
            yield Sample(f"{self.name}_created", labels, series.created)


class FamilyCollector(Collector):
    """For a registry of Prometheus: the families as they are whenever it is scraped."""

    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        return (metric for family in self.families() for metric in family.collect())


def added_up(families: Iterable[Family]) -> dict[str, Family]:
    """The families of several processes as those of one, by name. What was given stays as it is."""
    together: dict[str, Family] = {}
    for family in families:
        total = together.setdefault(family.name, replace(family, series={})).series
        for labels, series in family.series.items():
            total[labels] = total[labels].plus(series, family.together) if labels in total else series
    return together


def _observed_at(exemplar: tuple[int, Exemplar]) -> float:
    return float(exemplar[1].timestamp or 0.0)
