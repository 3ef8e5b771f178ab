"""Metrics, logs and OpenTelemetry."""
