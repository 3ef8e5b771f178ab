"""What a command leaves on standard error."""

import os
import subprocess
import sys


def test_a_command_ends_with_its_error_and_no_word_of_python() -> None:
    """Python 3.13 says at its end what went wrong while it closed streams."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("REELSYNC_")}
    command = [sys.executable, "-m", "reelsync.consumer", "lag"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
        "error",
        "  REELSYNC_DATABASE__URL",
    ], done.stderr
