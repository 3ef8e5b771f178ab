"""Query timings as Prometheus metrics with OpenTelemetry's names. A service that only reads can use them too.

Source of names and buckets: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/. The buckets 0.025
and 0.25 are added, because most batches lie between them.
"""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from reelsync.consumer.counters import Family, FamilyCollector
from reelsync.models.query_names import Query

from .query_names import OTHER, QUERIES
from .query_timing import QueryTiming

QUERY_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0)

Exemplar = Callable[[], dict[str, str] | None]


def no_exemplar() -> None:
    """No exemplar, because nothing is traced."""


class QueryMetrics:
    """The metrics of an engine's statements.

    Args:
        registry: The Prometheus registry to register them in.
        queries: The statements that the program declares.
        exemplar: Returns the labels of the current trace, or None.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        queries: Mapping[str, Query] = QUERIES,
        exemplar: Exemplar = no_exemplar,
    ) -> None:
        self.seconds = Family(
            "db_client_operation_duration_seconds",
            "histogram",
            "Seconds from sending a statement to its result.",
            ("db_system_name", "query_name", "db_operation_name", "db_collection_name", "error_type"),
            bounds=QUERY_SECONDS,
        )
        self.slow = Family("db_client_slow_queries", "counter", "Statements over the limit.", ("query_name",))
        self.exemplar = exemplar
        self._queries = queries
        if registry:
            registry.register(FamilyCollector(lambda: (self.seconds, self.slow)))

    def query(self, timing: QueryTiming) -> None:
        """Observe one statement."""
        query = self._queries.get(timing.query_name, self._queries[OTHER])
        labels = "postgresql", timing.query_name, query.operation, query.collection, timing.error_type
        self.seconds.labels(*labels).observe(timing.seconds, self.exemplar())
