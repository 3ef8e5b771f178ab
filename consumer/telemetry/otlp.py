"""OpenTelemetry's SDK, set up to send by OTLP over HTTP. Needs the extra `otel`."""

import os
from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import NamedTuple
from uuid import uuid4

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_METRIC_EXPORT_INTERVAL
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from reelsync.consumer.counters import Family
from reelsync.consumer.postgres.sqlstate import describe

from .otlp_metrics import FamiliesAsOtel
from .spans import Tracing

_log = structlog.get_logger("reelsync.otlp")

_INTERVAL_MILLIS = 60_000.0


class SentTraces(NamedTuple):
    """A tracer whose spans are sent, and a function that ends the sending."""

    tracing: Tracing
    shut_down: Callable[[], object]


class SentMetrics:
    """Sends metrics every OTEL_METRIC_EXPORT_INTERVAL milliseconds (60,000), and once more at the end."""

    def __init__(self, read: Callable[[], MetricsData], exporter: MetricExporter) -> None:
        self._read = read
        self._exporter = exporter
        self._interval = _milliseconds(OTEL_METRIC_EXPORT_INTERVAL, _INTERVAL_MILLIS) / 1000
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="otlp-metrics", daemon=True)
        self._thread.start()

    def shut_down(self) -> None:
        """Send the last metrics, and end."""
        self._stopping.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self._send()
        self._send()

    def _send(self) -> None:
        # The exporter logs its failures. Nothing is lost by them: the numbers are totals, and are sent again.
        try:
            self._exporter.export(self._read())
        except Exception as error:  # noqa: BLE001 - the thread goes on
            _log.warning("otlp.failed", error=describe(error))


def resource(version: str) -> Resource:
    """The resource that describes this process. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override it."""
    ours = Resource.create(
        {"service.name": "reelsync", "service.version": version, "service.instance.id": str(uuid4())}
    )
    # Resource.create would prefer its arguments to the variables.
    return ours.merge(OTELResourceDetector().detect())


def start_traces(about: Resource, group: str) -> SentTraces:
    """Begin to send spans."""
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return SentTraces(Tracing(provider, group), provider.shutdown)


def start_metrics(about: Resource, families: Callable[[], Iterable[Family]]) -> SentMetrics:
    """Begin to send the metrics in `families`."""
    return SentMetrics(FamiliesAsOtel(families, about).read, OTLPMetricExporter())


def _milliseconds(variable: str, default: float) -> float:
    try:
        given = float(os.environ.get(variable, default))
    except ValueError:
        return default
    return given if given > 0 else default
