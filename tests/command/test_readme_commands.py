"""Every command of the README, and of the pages that its first steps lead to, does what the page says."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from reelsync.consumer.settings import Settings
from reelsync.testing.servers.embedded_broker import EmbeddedBroker
from reelsync.testing.servers.embedded_postgres import EmbeddedPostgres
from tests.support.processes import ROOT, process, run_command
from tests.support.running import eventually, publish, rows_of, until_applied

PAGES = ("README.md", "docs/docker.md", "docs/first-hour.md", "docs/reading.md")
COMMANDS = {
    page: "".join(re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)).splitlines() for page in PAGES
}
SHOW_VIDEOS = (
    "docker compose exec postgres psql --username=postgres --dbname=reelsync "
    '--command="SELECT title, status, progress FROM videos"'
)
FIRST_HOUR = [
    "make demo KEEP=1",
    ".venv/bin/reelsync check",
    ".venv/bin/reelsync run",
    ".venv/bin/reelsync publish examples/lifecycle.jsonl",
    ".venv/bin/reelsync lag",
    ".venv/bin/reelsync trace 01944b2d-0a00-7b01-9d11-1122334455a1",
    ".venv/bin/reelsync offsets reset --all --to earliest --force",
    ".venv/bin/reelsync verify",
    ".venv/bin/reelsync dlq list --count",
    ".venv/bin/reelsync dlq list --reason not_json --limit 2",
    ".venv/bin/reelsync dlq redrive --reason not_json --dry-run",
]
AFTER_THE_EVENTS = {
    "trace 01944b2d-0a00-7b01-9d11-1122334455a1": "example-04\n    applied: details in the row",
    "offsets reset --all --to earliest --force": "9 partitions continue from there",
    "verify": "✓ Every row",
    "dlq list --count": r"1 dead letters? of group",
    "dlq list --reason not_json --limit 2": "readme-videos/",
    "dlq redrive --reason not_json --dry-run": "0 would be applied; 1 still wrong",
}
"""Commands of the first hour, in its order, and what each prints."""


def test_these_are_the_commands() -> None:
    """A command that is new here needs a test: below, or in tests/benchmarks, tests/queries or tests/containers."""
    assert COMMANDS == {
        "README.md": [
            "make demo",
            "make demo KEEP=1",
            "make setup",
            "export REELSYNC_KAFKA__BOOTSTRAP_SERVERS=localhost:9092",
            "export REELSYNC_DATABASE__URL=postgresql+asyncpg://user:password@localhost:5432/reelsync",
            ".venv/bin/reelsync migrate",
            ".venv/bin/reelsync check",
            ".venv/bin/reelsync run",
            ".venv/bin/reelsync publish examples/lifecycle.jsonl",
            ".venv/bin/reelsync lag",
        ],
        "docs/docker.md": [
            "docker compose up --detach --wait",
            ".venv/bin/reelsync publish examples/lifecycle.jsonl",
            SHOW_VIDEOS,
            "docker compose up --detach --wait --scale consumer=3",
            "docker compose down --volumes",
        ],
        "docs/first-hour.md": FIRST_HOUR,
        "docs/reading.md": [".venv/bin/uvicorn --factory examples.api.app:create_app"],
    }


@pytest.mark.parametrize("target", ["setup", "test", "lint", "bench"])
def test_make_knows_its_targets(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(400)  # a dozen processes, one after the other
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
        await publish(settings, "readme-videos", [(b"a key", b"not json")])
        await until_applied(settings)
        for command, shown in AFTER_THE_EVENTS.items():
            assert f".venv/bin/reelsync {command}" in FIRST_HOUR
            done = run_command(settings, *command.split(), COLUMNS="200")
            assert done.returncode == 0, done.stderr
            assert re.search(shown, done.stdout + done.stderr), (command, done.stdout, done.stderr)
        await until_applied(settings)
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    assert "0 records to go" in run_command(settings, "lag").stdout
    assert sorted(str(row["status"]) for row in await rows_of(settings, "videos")) == [
        "completed",
        "completed",
        "pending",
    ]
    postgres.drop_database("readme")
