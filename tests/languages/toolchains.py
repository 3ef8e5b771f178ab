"""Programs in other languages, run by the toolchains of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_NEEDED = ("PATH", "HOME")
_OF_THE_TOOLS = ("GO", "JAVA", "MAVEN", "NODE", "NPM", "npm_", "HTTP", "http", "NO_PROXY", "no_proxy", "SSL", "TMP")


def need(*programs: str) -> None:
    """Skip the test where one of these is not installed."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"{', '.join(missing)} is not installed")


def run(*command: str | Path, cwd: Path, stdin: str | None = None, **env: str) -> str:
    """What the program wrote to standard output; the test fails if it exits with an error."""
    kept = {name: value for name, value in os.environ.items() if name in _NEEDED or name.startswith(_OF_THE_TOOLS)}
    done = subprocess.run(command, cwd=cwd, env=kept | env, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
