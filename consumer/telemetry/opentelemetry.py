"""Sending metrics and traces to an OpenTelemetry collector, by OTLP over HTTP, if the settings say so.

The SDK's own variables OTEL_* say where to, how often and under which name. OpenTelemetry is an extra, and is imported
only if it is needed.
"""

import importlib.util
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from reelsync.consumer.counters import Family
from reelsync.consumer.errors import ReelsyncError

if TYPE_CHECKING:
    from .spans import Tracing

_PROTOCOL = "http/protobuf"
_SHUTDOWN_SECONDS = 5.0


@dataclass(frozen=True)
class Telemetry:
    """What is being sent; nothing by default. `tracing` is None if traces are not sent."""

    tracing: "Tracing | None" = None
    shutdowns: tuple[Callable[[], object], ...] = ()

    def shut_down(self) -> None:
        """Send what is left, and stop. This blocks, but a collector that does not answer is soon given up."""
        threads = [Thread(target=shutdown, name="telemetry-shutdown", daemon=True) for shutdown in self.shutdowns]
        for thread in threads:
            thread.start()
        ends = monotonic() + _SHUTDOWN_SECONDS
        for thread in threads:
            thread.join(max(0.0, ends - monotonic()))


def start_telemetry(families: Callable[[], Iterable[Family]], group: str, version: str) -> Telemetry:
    """Begin to send the metrics in `families`, and traces.

    Raises:
        ReelsyncError: the extra is not installed, or OTEL_* ask for something that reelsync does not support.
    """
    _require_sdk()
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    wanted = {signal: not disabled and _is_exported(signal) for signal in ("traces", "metrics")}

    from . import otlp  # noqa: PLC0415 - an extra

    resource = otlp.resource(version)
    traces = otlp.start_traces(resource, group) if wanted["traces"] else None
    metrics = otlp.start_metrics(resource, families) if wanted["metrics"] else None
    shutdowns = [traces.shut_down] if traces else []
    return Telemetry(traces and traces.tracing, (*shutdowns, *([metrics.shut_down] if metrics else [])))


def _is_exported(signal: str) -> bool:
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    exporter = os.environ.get(variable, "").strip() or "otlp"
    if exporter not in {"otlp", "none"}:
        raise ReelsyncError(f"{variable} is {exporter}, and reelsync sends by OTLP only: set it to otlp or none")
    return exporter == "otlp"


def _require_sdk() -> None:
    if importlib.util.find_spec("opentelemetry") is None or importlib.util.find_spec("opentelemetry.exporter") is None:
        raise ReelsyncError(
            "REELSYNC_OTEL__ENABLED needs OpenTelemetry's SDK: install reelsync[otel], or set it to false"
        )
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or _PROTOCOL
    if protocol != _PROTOCOL:
        raise ReelsyncError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and reelsync speaks {_PROTOCOL} only: port 4318 of a collector"
        )
