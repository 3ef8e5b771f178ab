"""docker-compose.yml as a test uses it: a project and ports of its own, commands as a person would type them."""

import json
import os
import secrets
import shlex
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reelsync.testing.servers.child_process import free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
_IMAGES = {
    "PYTHON_IMAGE": "TEST_PYTHON_IMAGE",
    "KAFKA_IMAGE": "TEST_KAFKA_APACHE_IMAGE",
    "POSTGRES_IMAGE": "TEST_POSTGRES_IMAGE",
    "PROMETHEUS_IMAGE": "TEST_PROMETHEUS_IMAGE",
}
REELSYNC = [sys.executable, "-m", "reelsync.consumer"]
"""`.venv/bin/reelsync`, of whatever environment runs the tests."""
_PROMETHEUS = "reelsync-test-prometheus:debian"
_FROM_CONTAINER = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1]).read().decode())"


def run(command: Sequence[str], env: dict[str, str], sent: bytes = b"") -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, cwd=ROOT, env=env, input=sent, capture_output=True, check=False, timeout=400)
    told = done.stdout.decode()
    assert done.returncode == 0, f"{shlex.join(command)}\n{told}\n{done.stderr.decode()}"
    return told


class Stack:
    """The services, while this is entered."""

    def __init__(self, compose: Sequence[str]) -> None:
        self.compose = list(compose)
        self.project = f"reelsync-test-{secrets.token_hex(3)}"
        self.ports = {name: free_port() for name in ("KAFKA_PORT", "POSTGRES_PORT", "PROMETHEUS_PORT")}
        self.passwords = {
            name: secrets.token_urlsafe(12)
            for name in ("POSTGRES_PASSWORD", "POSTGRES_MIGRATE_PASSWORD", "POSTGRES_RUN_PASSWORD")
        }
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
        self.env |= {ours: self.env[theirs] for ours, theirs in _IMAGES.items() if theirs in self.env}
        self.env |= {name: str(port) for name, port in self.ports.items()} | self.passwords
        self.env |= {"COMPOSE_PROJECT_NAME": self.project, "REELSYNC_IMAGE": "reelsync:test", "PYTHONPATH": str(ROOT)}
        self.env["REELSYNC_KAFKA__BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.ports['KAFKA_PORT']}"

    def __enter__(self) -> Self:
        if "PROMETHEUS_IMAGE" not in self.env:
            self.env["PROMETHEUS_IMAGE"] = _PROMETHEUS
            run(["docker", "build", "--quiet", "--tag", _PROMETHEUS, "tests/containers/prometheus"], self.env)
        run([*self.compose, "build", "--quiet"], self.env)
        try:
            self.typed("docker compose up --detach --wait")
        except BaseException:
            sys.stderr.write(run([*self.compose, "logs", "--no-color", "--tail=30"], self.env))
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.typed("docker compose down --volumes")
        ours = f"label=com.docker.compose.project={self.project}"
        for left in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
            assert not run(["docker", *left, "--quiet", "--filter", ours], self.env)

    def typed(self, command: str) -> str:
        """What a command of the README prints."""
        assert command in README.splitlines(), command
        words = shlex.split(command)
        if words[:2] == ["docker", "compose"]:
            return run([*self.compose, *words[2:]], self.env)
        assert words[0] == ".venv/bin/reelsync"
        return run([*REELSYNC, *words[1:]], self.env)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What Docker knows of the running containers of a service."""
        ids = run([*self.compose, "ps", "--quiet", service], self.env).split()
        inspected: list[dict[str, Any]] = json.loads(run(["docker", "inspect", *ids], self.env))
        return inspected

    def statuses(self) -> list[dict[str, Any]]:
        """/status.json of every consumer."""
        ask = ["python", "-c", _FROM_CONTAINER, "http://127.0.0.1:8080/status.json"]
        ids = [container["Id"] for container in self.containers("consumer")]
        return [json.loads(run(["docker", "exec", one, *ask], self.env)) for one in ids]

    def database_url(self, role: str, password: str) -> str:
        """The database, from this machine."""
        port = self.ports["POSTGRES_PORT"]
        return f"postgresql+asyncpg://{role}:{self.passwords[password]}@127.0.0.1:{port}/reelsync"

    def prometheus(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series that an expression gives: labels and value."""
        found = self.prometheus_api("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def prometheus_api(self, path: str, **query: str) -> Any:
        """The `data` of an answer of Prometheus' HTTP API."""
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as response:
            return json.loads(response.read())["data"]
