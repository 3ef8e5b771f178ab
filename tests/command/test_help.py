"""What the command says of itself: help, version, completion."""

import os
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


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--version"], {}),
        (["--help"], {}),
        (["dlq", "--help"], {}),
        (["offsets", "--help"], {}),
        ([], {"_REELSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "reelsync dlq re", "COMP_CWORD": "2"}),
    ],
)
def test_what_says_what_there_is_imports_no_library(arguments: list[str], variables: dict[str, str]) -> None:
    program = """
import sys
from reelsync.consumer.cli import main
sys.argv = ["reelsync", *sys.argv[1:]]
try:
    main()
finally:
    # Pydantic is not among them: Typer itself imports it for the options of a group.
    heavy = {"aiohttp", "aiokafka", "asyncpg", "rich", "sqlalchemy", "structlog"}
    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n"), done.stderr
    assert done.stdout


def test_completion_knows_the_commands() -> None:
    asked = {"_REELSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "reelsync dlq re", "COMP_CWORD": "2"}
    # Of the package, not of `-m consumer`: completion is for the name of the program.
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['reelsync']; from reelsync.consumer.cli import main; main()"],
        env=os.environ | asked,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["redrive", "restore"]


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
