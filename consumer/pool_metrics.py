"""The connection pool, as Prometheus asks for it: read at each scrape, under the names of OpenTelemetry."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.engine import PoolStats


class PoolCollector(Collector):
    """Gauges of one pool. `limit`: the connections that it may open, those beyond its size included.

    Source of the names: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
    """

    def __init__(self, stats: Callable[[], PoolStats], limit: int) -> None:
        self._stats = stats
        self._limit = limit

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What the pool is doing now."""
        stats = self._stats()
        count = GaugeMetricFamily(
            "db_client_connection_count", "Open connections to PostgreSQL, by state.", labels=("state",)
        )
        count.add_metric(("idle",), stats.checked_in)
        count.add_metric(("used",), stats.checked_out)
        yield count
        yield GaugeMetricFamily(
            "db_client_connection_max", "Connections to PostgreSQL that the pool may open.", value=self._limit
        )
