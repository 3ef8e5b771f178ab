"""The `reelsync` command. What a subcommand does has a file of its own, which is imported only when it runs."""

import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated

import typer

from . import commands, dlq, group_commands
from .declaring import HIDDEN, new_app

app = new_app(
    "Video lifecycle events from Apache Kafka, merged idempotently into PostgreSQL.",
    {
        "run": commands.run,
        HIDDEN: commands.worker,
        "migrate": commands.migrate,
        "check": commands.check,
        "publish": commands.publish,
        "lag": commands.lag,
        "trace": commands.trace,
        "verify": commands.verify,
        "rebuild": commands.rebuild,
        "erase": commands.erase,
        "archive": commands.archive,
    },
    name="reelsync",
    epilog="Settings come from the environment and .env: see docs/settings.md. Try: reelsync check",
)
app.add_typer(dlq.app, name="dlq")
app.add_typer(
    new_app(
        "Show or reset the positions of the group, which are stored in PostgreSQL.",
        {"show": group_commands.show_offsets, "reset": group_commands.reset_offsets},
    ),
    name="offsets",
)
app.add_typer(
    new_app(
        "The contract of events: JSON Schema and AsyncAPI.",
        {"export": group_commands.export_schema, "check": group_commands.check_schema},
    ),
    name="schema",
)


_OUT_OF_MEMORY = (
    "the process has not enough memory: give it more (see Memory in docs/operations.md). Nothing is lost: what is not "
    "committed is read again"
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reelsync {installed_version('reelsync')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version  # its callback has used it


def main() -> None:
    """Run the command, and end the process with its exit code."""
    run_to_exit(app)


def run_to_exit(command: Callable[[], object]) -> None:
    """Run a command: exit code 0 if it did its work, 1 if it could not, 2 if the command or a setting is wrong."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever encoding the terminal has
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if _is_out_of_memory(error):
            sys.stderr.write(f"error: {_OUT_OF_MEMORY}\n")
            sys.exit(1)
        from reelsync.consumer.errors import ReelsyncError

        from .terminal import complain, print_json

        if not isinstance(error, ReelsyncError):
            raise
        complain(str(error))
        if "--json" in sys.argv:
            print_json({"error": str(error)})
        sys.exit(error.exit_code)


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a MemoryError began this. Later errors may only follow from it, such as a thread that cannot start."""
    seen: set[int] = set()
    while error is not None and not isinstance(error, MemoryError) and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return isinstance(error, MemoryError)
