"""The metrics of several processes as those of one: the same names and labels, added up. Pure."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

_ACCUMULATING = {"counter", "histogram"}
_LARGEST = {"reelsync_lag_records"}
"""Gauges of things that one process has at a time: for a moment after a rebalance two may speak of one."""

_Key = tuple[str, frozenset[tuple[str, str]]]


class UnitedMetrics(Collector):
    """Families of metrics, at one moment. Those of one name are added up: counters, histograms and gauges."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families: dict[str, Metric] = {}
        together: dict[str, dict[_Key, Sample]] = {}
        for family in families:
            if family.name not in self._families:
                self._families[family.name] = Metric(family.name, family.documentation, family.type, family.unit)
            samples = together.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                samples[key] = _joined(family.name, samples[key], sample) if key in samples else sample
        for name, samples in together.items():
            self._families[name].samples = list(samples.values())

    def collect(self) -> Iterator[Metric]:
        """All families."""
        return iter(self._families.values())

    def of(self, name: str) -> "UnitedMetrics":
        """The family of this name alone: a counter's is without `_total`."""
        return UnitedMetrics([self._families[name]] if name in self._families else [])


def accumulated(families: Iterable[Metric]) -> list[Metric]:
    """What is still true of a process when it has ended: what it counted, not how it was."""
    return [family for family in families if family.type in _ACCUMULATING]


def _joined(family: str, one: Sample, other: Sample) -> Sample:
    if one.name.endswith("_created"):
        return one._replace(value=min(one.value, other.value))
    value = max(one.value, other.value) if family in _LARGEST else one.value + other.value
    return one._replace(value=value, exemplar=_later(one.exemplar, other.exemplar))


def _later(one: Exemplar | None, other: Exemplar | None) -> Exemplar | None:
    return max((e for e in (one, other) if e), key=lambda exemplar: float(exemplar.timestamp or 0), default=None)
