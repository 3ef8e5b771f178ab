"""`python -m docs.command_table` writes the table of commands, made from their docstrings, into docs/commands.md."""

import re
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from docs.page import write_part
from reelsync.consumer.cli import app
from reelsync.consumer.cli.declaring import HIDDEN


def command_table() -> str:
    """A row for each command: its name, the first line of its help, its examples."""
    rows = ["| command | what it does | example |", "|---|---|---|"]
    return "\n".join([*rows, *(_row(name, command) for name, command in commands())])


def commands() -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Every command that `--help` shows, with the name that one types after `reelsync`."""
    yield from _below("", typer.main.get_command(app))


def examples_of(command: TyperCommand | TyperGroup) -> list[str]:
    """The command lines that its help gives as examples."""
    return re.findall(r"(?m)^\s*Example:\s+(.*)$", command.help or "")


def _below(name: str, command: TyperCommand | TyperGroup) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    if not isinstance(command, TyperGroup):
        yield name, command
        return
    context = command.context_class(command)
    for word in command.list_commands(context):
        _, child, _ = command.resolve_command(context, [word])
        if child is not None and word != HIDDEN:
            yield from _below(f"{name} {word}".strip(), child)


def _row(name: str, command: TyperCommand | TyperGroup) -> str:
    first = (command.help or "").strip().splitlines()[0]
    examples = "<br>".join(f"`{example.replace('|', chr(92) + '|')}`" for example in examples_of(command))
    return f"| `{name}` | {first} | {examples} |"


if __name__ == "__main__":
    write_part("commands.md", "commands", command_table())
