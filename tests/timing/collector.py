"""An OpenTelemetry collector of the tests' own: takes OTLP over HTTP, and keeps what it was sent."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from reelsync.consumer.settings import Settings


@dataclass
class Collected:
    """Spans, and the latest metrics by name; attributes of what sent them."""

    endpoint: str
    spans: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    resources: list[dict[str, str]] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(attributes(resource.resource))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(attributes(resource.resource))
                self.metrics |= {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def attributes(thing: Any) -> dict[str, Any]:
    """What a span, a point or a resource says of itself."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) if each.value.WhichOneof("value") else None
        for each in thing.attributes
    }


@contextmanager
def collecting() -> Iterator[Collected]:
    """A collector on any port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            packed = self.headers.get("Content-Encoding") == "gzip"
            collected.take(self.path, gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collected = Collected(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sending(settings: Settings) -> Settings:
    """Spans and metrics are sent, and no statement counts as slow, however busy the machine is."""
    return settings.model_copy(
        update={
            "otel": settings.otel.model_copy(update={"enabled": True}),
            "log": settings.log.model_copy(update={"slow_query_seconds": 600}),
        }
    )
