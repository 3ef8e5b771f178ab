"""What a command says when it cannot connect: one clear error, and no secret, however much is logged."""

import json
import re
import subprocess
from collections.abc import Iterable

SECRET = "hunter2-do-not-print"
URL = "postgresql+asyncpg://writer:canary-7c1e@db.example.com:5432/reelsync"
"""Of a database, with a password that is to show nowhere."""
CONSOLE = {"REELSYNC_LOG__LEVEL": "DEBUG", "REELSYNC_LOG__FORMAT": "console"}
JSON = {
    "REELSYNC_LOG__LEVEL": "DEBUG",
    "REELSYNC_LOG__FORMAT": "json",
    # A connection takes long on a busy machine, and is no second error.
    "REELSYNC_LOG__NOTICEABLE_QUERY_SECONDS": "60",
    "REELSYNC_LOG__SLOW_QUERY_SECONDS": "60",
}


def assert_one_error(done: subprocess.CompletedProcess[str], said: str, secrets: Iterable[str]) -> None:
    """The command failed with one line on standard error, which says this.

    (`run` may say before where it listens, and what was slow.)
    """
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if not re.search("http.listening|query.slow", line)]
    assert len(lines) == 1, done.stderr
    is_json = lines[0].startswith("{")  # as the log of `run` may be
    error = json.loads(lines[0])["why"] if is_json else lines[0]
    assert said in error, done.stderr
    assert is_json or error.startswith("error: "), done.stderr
    assert_kept(done, secrets)


def assert_failed_check(done: subprocess.CompletedProcess[str], check: str, said: str, secrets: Iterable[str]) -> None:
    """`reelsync check --json` failed in this check, with this message, and said nothing besides."""
    assert done.returncode == 1, done.stderr
    results = {result["check"]: result for result in json.loads(done.stdout)}
    assert not results[check]["ok"]
    assert said in results[check]["message"], results[check]["message"]
    assert done.stderr == ""
    assert_kept(done, secrets)


def assert_kept(done: subprocess.CompletedProcess[str], secrets: Iterable[str]) -> None:
    """None of these secrets shows, nor a traceback."""
    everything = done.stdout + done.stderr
    assert "Traceback" not in everything
    assert not [secret for secret in secrets if secret in everything]
