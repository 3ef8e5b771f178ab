"""What commands share in talking to people and machines: data on standard output, all else on standard error."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import orjson
import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import BrokerSettings
from reelsync.consumer.telemetry.logs import configure_logs

out = Console()
err = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

S = TypeVar("S", bound=BrokerSettings)
T = TypeVar("T")


class UsageError(ReelsyncError):
    """The command or the settings are wrong."""

    exit_code = 2


def load(settings: type[S]) -> S:
    """The settings, from the environment and `.env`. From here on libraries log as the settings say, or not at all.

    Raises:
        UsageError: some are missing or wrong; names each, and what it must be.
    """
    try:
        loaded = settings()
    except ValidationError as error:
        problems = [
            f"{_variable(problem['loc'])}: {_sentence(problem)}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
    except SettingsError as error:
        problems = [f'{error}. REELSYNC_KAFKA__TOPICS must be JSON, such as {{"video-events": "video"}}']
    else:
        configure_logs(loaded.log)
        return loaded
    raise UsageError("the settings are not right.\n" + "\n".join(f"  {problem}" for problem in problems))


def run_to_exit(command: Callable[[], object]) -> None:
    """Run a command: exit code 0 when it did what was asked, 1 when it could not, 2 when it was asked wrongly."""
    try:
        command()
    except ReelsyncError as error:
        complain(str(error))
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        sys.exit(130)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work."""
    return asyncio.run(work)


def complain(message: str) -> None:
    """An error, in red, as it is: no markup, no wrapping inside words."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def print_json(document: Any) -> None:  # noqa: ANN401 - whatever JSON has
    """One JSON document on standard output."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=_plain).decode() + "\n")


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A table: numbers to the right, nothing interpreted as markup."""
    table = Table(title=title, title_justify="left")
    listed = list(rows)
    for column in columns:
        numeric = all(isinstance(row[column], int | float) for row in listed)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text(_shown(row[column])) for column in columns))
    out.print(table)


def plural(number: int, what: str) -> str:
    """`1 letter`, `2 letters`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(content: str) -> str:
    """Text with what is not for the eye escaped, so that what a stranger sent cannot speak to the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in content)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _variable(location: tuple[int | str, ...]) -> str:
    if location == ("database",):
        location = ("database", "url")
    if location[:2] == ("kafka", "topics") and len(location) > 2:  # noqa: PLR2004 - what follows is the topic
        # Between the topic and what is wrong stands the form that was tried.
        topic, *rest = location[2:]
        return f"REELSYNC_KAFKA__TOPICS, topic {topic}" + "".join(f", {part}" for part in rest[1:] if part != "[key]")
    return "REELSYNC_" + "__".join(str(part).upper() for part in location)


def _sentence(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing" and problem["loc"][0] == "kafka":
        return "is missing: see docs/debezium.md"
    if problem["type"] == "missing":
        return "is not set. For example: postgresql+asyncpg://user:password@localhost:5432/reelsync"
    return str(problem["msg"]).removeprefix("Value error, ")
