"""What goes into the wheel, and running programs far from this checkout."""

import os
import subprocess
from pathlib import Path

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
