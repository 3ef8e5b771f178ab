"""What goes into the wheel, and running programs far from this checkout."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

PACKAGES = {
    "reelsync/consumer": "consumer",
    "reelsync/events": "events",
    "reelsync/migrations": "migrations",
    "reelsync/models": "models",
    "reelsync/testing": "reelsync_testing",
}
"""Where a package stands in the wheel, and its folder in the repository."""
_FROM_OUTSIDE = ("PATH", "HOME", "DOCKER_HOST", "TEST_KAFKA_IMAGE", "TEST_POSTGRES_IMAGE")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it with no PYTHONPATH and no settings of ours; the test fails if it does."""
    env = {name: os.environ[name] for name in _FROM_OUTSIDE if name in os.environ}
    env |= {name: content for name, content in os.environ.items() if name.startswith("TESTCONTAINERS_")}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def uv(*arguments: str | Path, cwd: Path = ROOT) -> None:
    """Run uv. It has the whole environment of this process, so that it finds the registry where this machine has it."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], cwd=cwd, check=True)


def environment(directory: Path, *installs: tuple[str | Path, ...]) -> Path:
    """The Python of a new environment, into which each of `installs` was installed, one after the other."""
    uv("venv", "--python", sys.executable, directory)
    python = directory / "bin" / "python"
    for install in installs:
        uv("pip", "install", "--python", python, *install)
    return python
