"""The `reelsync` command. Each subcommand has a file of its own, which is imported only when it runs."""

import sys
from collections.abc import Callable
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, ClassVar

import typer

from . import dlq
from .lazy import Commands, LazyGroup, new_app


class _Offsets(LazyGroup):
    commands_by_name: ClassVar[Commands] = {"show": "offsets:show", "reset": "reset:reset"}


class _Schema(LazyGroup):
    commands_by_name: ClassVar[Commands] = {"export": "schema:export", "check": "schema:check"}


class _Reelsync(LazyGroup):
    commands_by_name: ClassVar[Commands] = {
        "run": "run:run",
        "worker": "worker:worker",
        "migrate": "migrate:migrate",
        "check": "check:check",
        "publish": "publish:publish",
        "lag": "lag:lag",
        "trace": "trace:trace",
        "verify": "verify:verify",
        "rebuild": "rebuild:rebuild",
        "erase": "erase:erase",
        "archive": "archive:archive",
        "dlq": dlq.app,
        "offsets": new_app(
            _Offsets, "Show or reset the positions of the group, which are stored in PostgreSQL.", add_completion=False
        ),
        "schema": new_app(_Schema, "The contract of events: JSON Schema and AsyncAPI.", add_completion=False),
    }


app = new_app(
    _Reelsync,
    "Video lifecycle events from Apache Kafka, merged idempotently into PostgreSQL.",
    name="reelsync",
    epilog="Settings come from the environment and .env: see docs/settings.md. Try: reelsync check",
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
