"""`make demo KEEP=1` verifies all rows, prints commands that can be pasted, and says on Ctrl-C what it stopped."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.processes import ROOT


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    """In a process group of its own, which a signal reaches as Ctrl-C does in a terminal."""
    make = ["make", "--no-print-directory", "demo", "EVENTS=3000", "KEEP=1"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
    running = subprocess.Popen(make, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
    with running:
        yield running
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)


@pytest.mark.timeout(300)  # a day of events, and four commands
def test_it_verifies_keeps_the_servers_and_says_what_comes_next(demo: subprocess.Popen[str]) -> None:
    assert demo.stdout
    said = []
    for line in demo.stdout:
        said.append(line.rstrip("\n"))
        if line.startswith("Then open"):
            break
    told = "\n".join(said)
    for part in ("Videos by status", "Dead letters by reason", "Time by statement", "✓ Every row agrees"):
        assert part in told
    exports = [line for line in said if line.startswith("export ")]
    commands = [line for line in said if line.startswith(".venv/bin/reelsync")]
    assert [re.sub(r"=.*", "", line) for line in exports] == [
        "export REELSYNC_KAFKA__BOOTSTRAP_SERVERS",
        "export REELSYNC_DATABASE__URL",
    ]
    *four, last = commands
    assert len(four) == 4
    for command in four:
        assert pasted(exports, command) == 0, command
    assert last == ".venv/bin/reelsync run"
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert rest.splitlines()[-1] == "Stopped PostgreSQL and the broker, and removed their data."


def pasted(exports: list[str], command: str) -> int:
    """The exit code of a shell that gets these lines."""
    lines = "\n".join([*exports, command.replace(".venv/bin/reelsync", f"{sys.executable} -m reelsync.consumer")])
    return subprocess.run(["bash", "-c", lines], cwd=ROOT, check=False, timeout=120).returncode
