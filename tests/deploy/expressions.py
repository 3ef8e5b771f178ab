"""What a PromQL expression names: metrics and labels, found in its text."""

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHERS = re.compile(r"\{([^}]*)\}")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
OF_PROMETHEUS = {"up"}
"""What Prometheus measures itself, of each target."""
OF_TARGETS = {"job", "instance", "le"}
"""Labels that Prometheus adds, or histograms have."""


def metrics_named(expression: str) -> set[str]:
    """The series' names: every name that is no function, label, keyword, or part of a string."""
    bare = _RANGE.sub(" ", _GROUPING.sub(" ", _MATCHERS.sub(" ", _STRING.sub('""', expression))))
    return {name for name in _NAME.findall(bare) if name not in _WORDS}


def labels_named(expression: str) -> set[str]:
    """Labels that are matched or grouped by."""
    bare = _STRING.sub('""', expression)
    listed = [part for inside in _MATCHERS.findall(bare) for part in re.findall(r"(\w+)\s*[=!]", inside)]
    grouped = [name for _, inside in _GROUPING.findall(bare) for name in re.findall(r"\w+", inside)]
    return {*listed, *grouped}


def series_of(registry: CollectorRegistry) -> dict[str, Metric]:
    """Every series' name that a registry can serve, with its metric."""
    return {f"{metric.name}{suffix}": metric for metric in registry.collect() for suffix in _SUFFIXES[metric.type]}


def labels_of(registry: CollectorRegistry) -> dict[str, set[str]]:
    """The labels of each metric, by the metric's name."""
    collectors: Any = set(registry._collector_to_names)
    return {family.name: set(family.label_names) for collector in collectors for family in collector.families()}


def unknown_names(expression: str, registry: CollectorRegistry) -> Iterator[str]:
    """What an expression names and the registry does not have."""
    series, labels = series_of(registry), labels_of(registry)
    named = metrics_named(expression)
    yield from sorted(named - series.keys() - OF_PROMETHEUS)
    possible = {label for name in named & series.keys() for label in labels[series[name].name]} | OF_TARGETS
    yield from sorted(labels_named(expression) - possible)
