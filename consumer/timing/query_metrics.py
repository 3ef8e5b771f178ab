"""Query timings as Prometheus instruments, under the names of OpenTelemetry; also for a service that only reads.

Source of names and buckets: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/; 0.025 and 0.25
besides, between which most batches are.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from reelsync.models.query_names import Query

from .query_names import OTHER, QUERIES
from .query_timing import QueryTiming

QUERY_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0)

Exemplar = Callable[[], dict[str, str] | None]


def no_exemplar() -> None:
    """Nothing is traced."""


class QueryMetrics:
    """The instruments of an engine. `exemplar`: the labels of the present trace, if there is one."""

    def __init__(
        self,
        registry: CollectorRegistry,
        queries: Mapping[str, Query] = QUERIES,
        exemplar: Exemplar = no_exemplar,
    ) -> None:
        self.seconds = Histogram(
            "db_client_operation_duration_seconds",
            "Seconds from sending a statement to its result.",
            ("db_system_name", "query_name", "db_operation_name", "db_collection_name", "error_type"),
            buckets=QUERY_SECONDS,
            registry=registry,
        )
        self.slow = Counter("db_client_slow_queries", "Statements over the limit.", ("query_name",), registry=registry)
        self.exemplar = exemplar
        self._queries = queries
        self._series: dict[tuple[str, str], Histogram] = {}

    def query(self, timing: QueryTiming) -> None:
        """One statement."""
        key = timing.query_name, timing.error_type
        series = self._series.get(key)
        if series is None:
            query = self._queries.get(key[0], self._queries[OTHER])
            series = self.seconds.labels("postgresql", key[0], query.operation, query.collection, key[1])
            self._series[key] = series
        series.observe(timing.seconds, self.exemplar())
