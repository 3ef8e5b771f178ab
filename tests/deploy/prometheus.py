"""Debian's Prometheus and promtool: a server with its own port and directory, and checks without one."""

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from reelsync.testing.servers.child_process import ChildServer, free_port
from tests.services.docker import docker_is_required

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"


def alerts() -> list[dict[str, Any]]:
    """The rules as they are shipped."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is. Skips the test without it, or fails where every tier must run."""
    found = shutil.which(name)
    if found:
        return found
    message = f"no {name}: install Debian's package `prometheus`"
    if docker_is_required():
        pytest.fail(message)
    pytest.skip(message)


def promtool(*arguments: str | Path) -> str:
    """What promtool says of something that must be right."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def api(self, path: str, **query: str) -> Any:
        """The `data` of an answer of its HTTP API; what it refuses, the test shows."""
        url = f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.loads(response.read())["data"]
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{query}: {error.read().decode()}")

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The series that an expression gives, by their labels, sorted."""
        found = self.api("query", query=expression)["result"]
        return {tuple(sorted(series["metric"].items())): float(series["value"][1]) for series in found}

    def number(self, expression: str) -> float | None:
        """The one value of an expression; None without any."""
        values = list(self.query(expression).values())
        assert len(values) <= 1, values
        return values[0] if values else None


@contextmanager
def scraping(directory: Path, ports: Iterable[int], rules: str) -> Iterator[Prometheus]:
    """A server that scrapes these ports of 127.0.0.1 every second, with these rules."""
    (directory / "rules.yml").write_text(rules)
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "reelsync", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
        ],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    served = Prometheus(port)
    child = ChildServer(command, log=directory / "prometheus.log", orphan_signal="KILL")
    child.wait_until(served.ready, "Prometheus", timeout=30)
    try:
        yield served
    finally:
        child.stop(signal.SIGTERM)
