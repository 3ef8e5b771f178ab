"""Every command of the README does what the README says."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.processes import ROOT, process, run_command
from tests.support.running import eventually, rows_of

README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
SHOW_VIDEOS = (
    "docker compose exec postgres psql --username=postgres --dbname=reelsync "
    '--command="SELECT title, status, progress FROM videos"'
)


def test_these_are_the_commands() -> None:
    """A command that is new here needs a test: below, or in tests/benchmarks, tests/queries or tests/containers."""
    assert COMMANDS == [
        "make demo",
        "make setup",
        "export REELSYNC_KAFKA__BOOTSTRAP_SERVERS=localhost:9092",
        "export REELSYNC_DATABASE__URL=postgresql+asyncpg://user:password@localhost:5432/reelsync",
        ".venv/bin/reelsync migrate",
        ".venv/bin/reelsync check",
        ".venv/bin/reelsync run",
        ".venv/bin/reelsync publish examples/lifecycle.jsonl",
        ".venv/bin/reelsync lag",
        "docker compose up --detach --wait",
        ".venv/bin/reelsync publish examples/lifecycle.jsonl",
        SHOW_VIDEOS,
        "docker compose up --detach --wait --scale consumer=3",
        "docker compose down --volumes",
        ".venv/bin/uvicorn --factory examples.api.app:create_app",
        "make test",
        "make lint",
        "make bench",
    ]


@pytest.mark.parametrize("target", ["setup", "test", "lint", "bench"])
def test_make_knows_its_targets(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_demo_publishes_consumes_and_verifies() -> None:
    done = subprocess.run(
        ["make", "demo", "EVENTS=3000"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("Videos by status", "Dead letters by reason", "Time by statement", "✓ Every row equals"):
        assert said in done.stdout


async def test_the_walk_through_ends_with_rows(postgres: EmbeddedPostgres, broker: EmbeddedBroker) -> None:
    postgres.create_database("readme")
    names = {"readme-videos": "video", "readme-users": "user", "readme-usage": "model_usage"}
    await broker.create_topics(dict.fromkeys(names, 3))
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "topics": names, "session_timeout_ms": 1000}
    settings = Settings.model_validate({"kafka": kafka, "database": {"url": postgres.url("readme")}})
    for command in ("migrate", "check"):
        assert run_command(settings, command).returncode == 0
    with process(settings, "-m", "reelsync.consumer", "run") as running:
        published = run_command(settings, "publish", str(Path("examples") / "lifecycle.jsonl"))
        assert published.returncode == 0, published.stderr

        async def all_there() -> bool:
            return len(await rows_of(settings, "videos")) == 3 and len(await rows_of(settings, "model_usage")) == 1

        await eventually(all_there, "three videos and a fact")
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    assert "0 records to go" in run_command(settings, "lag").stdout
    assert sorted(str(row["status"]) for row in await rows_of(settings, "videos")) == [
        "completed",
        "completed",
        "pending",
    ]
    postgres.drop_database("readme")
