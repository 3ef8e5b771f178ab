"""What the command says of itself: help, version, completion."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.support.processes import ROOT, run_command

COMMANDS = (
    "run",
    "migrate",
    "check",
    "publish",
    "lag",
    "dlq list",
    "dlq show",
    "dlq redrive",
    "dlq discard",
    "dlq restore",
    "dlq export",
    "dlq import",
    "dlq purge",
    "offsets show",
    "offsets reset",
    "trace",
    "verify",
    "rebuild",
    "erase",
    "archive",
    "schema export",
    "schema check",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    done = run_command(None, *command.split(), "--help")
    assert done.returncode == 0
    assert re.search(rf"Example:[\s│]*.*reelsync {command}", done.stdout, re.DOTALL)


@pytest.mark.parametrize("module", ["demo", "benchmarks"])
def test_help_of_what_only_the_repository_has_shows_an_example(module: str) -> None:
    done = run_command(None, "--help", module=module)
    assert done.returncode == 0
    assert f"Example: python -m {module}" in done.stdout


def test_what_says_what_there_is_imports_nothing_that_a_command_needs() -> None:
    """Importing that takes up to three seconds. It shows in the modules, whatever the machine has to do."""
    program = """
import os, sys
from reelsync.consumer.cli import main
needed = {"aiohttp", "aiokafka", "alembic", "asyncpg", "orjson", "pydantic_settings", "rich", "sqlalchemy", "structlog"}
needed |= {"pydantic", "reelsync.events", "reelsync.models", "reelsync.migrations", "reelsync.consumer.settings"}
for line in sys.stdin.read().splitlines():
    sys.argv = ["reelsync", *line.split()]
    if line.startswith("complete "):
        needed.discard("pydantic")  # Typer itself imports it for the options that it completes.
        words = line.removeprefix("complete ")
        os.environ |= {"_REELSYNC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
    assert not needed & sys.modules.keys(), (line, needed & sys.modules.keys())
"""
    asked = ["--version", "--help", *(f"{group} --help" for group in ("dlq", "offsets", "schema"))]
    asked += [f"{command} --help" for command in COMMANDS]
    asked += ["complete reelsync ver", "complete reelsync dlq re", "complete reelsync verify --sl"]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-4:] == ["verify", "redrive", "restore", "--slices"]


def test_help_lists_every_command_with_its_first_sentence() -> None:
    listed = run_command(None, "--help").stdout
    assert [
        name for name in {name.split()[0] for name in COMMANDS} if not re.search(rf"^  {name} ", listed, re.MULTILINE)
    ] == []
    assert re.search(r"^  run +Consume events until SIGTERM or SIGINT$", listed, re.MULTILINE)
    assert " worker" not in listed
    assert run_command(None, "--version").stdout == f"reelsync {version('reelsync')}\n"
    refused = run_command(None, "laag")
    assert (refused.returncode, "No such command 'laag'" in refused.stderr) == (2, True), refused.stderr
