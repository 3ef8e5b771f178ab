"""OpenTelemetry while it is off, and what is said where it cannot be turned on."""

import subprocess
import sys

import pytest

from reelsync.consumer.settings import Settings
from tests.support.processes import ROOT, environment, run_command
from tests.timing.collector import sending


def test_nothing_of_it_is_imported_while_it_is_off(settings: Settings) -> None:
    code = (
        "import sys; from reelsync.consumer.app import Consumer; from reelsync.consumer.settings import Settings;"
        "Consumer(Settings());"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    env = environment(settings)
    assert subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("variable", "value"), [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_EXPORTER", "zipkin")]
)
def test_what_is_not_spoken_here_is_said_at_the_start(settings: Settings, variable: str, value: str) -> None:
    done = run_command(sending(settings), "run", **{variable: value})
    assert done.returncode == 1
    assert f"{variable} is {value}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None;"
        "from reelsync.consumer.telemetry.opentelemetry import start_telemetry;"
        "from prometheus_client import CollectorRegistry; start_telemetry(CollectorRegistry(), 'g', '1')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "install reelsync[otel]" in done.stderr
