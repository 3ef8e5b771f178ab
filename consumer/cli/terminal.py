"""Output and settings of all commands: data to standard output, everything else to standard error."""

import asyncio
import sys
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO, TypeVar, cast

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import json_bytes, printable, printable_lines
from reelsync.consumer.settings import BrokerSettings
from reelsync.consumer.settings.variables import PREFIX, VariablesError
from reelsync.consumer.telemetry.logs import configure_logs


class _SafeConsole(Console):
    """A console that escapes all text: only Rich itself sends control characters to the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape the text of each segment. Segments that move the cursor are of another kind, and stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


class _StandardError:
    """Standard error. What it no longer takes, because its reader or its terminal is gone, is left out."""

    @property
    def encoding(self) -> str:
        """How it encodes text."""
        return _stderr().encoding

    def write(self, text: str) -> int:
        """Write a text, if possible."""
        with suppress(OSError):
            _stderr().write(text)
        return len(text)

    def flush(self) -> None:
        """Send what was written, if possible."""
        with suppress(OSError):
            _stderr().flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return _stderr().isatty()


def _stderr() -> TextIO:
    """The stream itself, also while a live view sends what others print through its console."""
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)


out = _SafeConsole(emoji=False)
err = _SafeConsole(file=cast("TextIO", _StandardError()), stderr=True, emoji=False)

_TOPICS = f"{PREFIX}KAFKA__TOPICS"
_TOPICS_EXAMPLE = '{"video-events": "video"}'

S = TypeVar("S", bound=BrokerSettings)
T = TypeVar("T")


class UsageError(ReelsyncError):
    """The command or the settings are wrong."""

    exit_code = 2


def load(settings: type[S]) -> S:
    """The settings, from the environment and `.env`. Afterwards the logs have the configured form.

    Raises:
        UsageError: settings are missing or wrong; the message names each, and what it must be.
    """
    try:
        loaded = settings()
    except ValidationError as error:
        problems = [_problem(problem) for problem in error.errors(include_input=False, include_url=False)]
    except VariablesError as error:
        problems = error.problems
    except SettingsError:
        # KAFKA__TOPICS is the only setting that is parsed before it is validated.
        problems = [f"{_TOPICS}: is not JSON, such as {_TOPICS_EXAMPLE}"]
    else:
        configure_logs(loaded.log)
        return loaded
    raise UsageError("the settings are not right.\n" + "\n".join(f"  {printable(problem)}" for problem in problems))


def confirm(consequence: str, *, yes: bool) -> None:
    """Ask whether to do what cannot be undone, unless the command line said yes.

    Raises:
        UsageError: there is no terminal to ask in.
        ReelsyncError: the answer was no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and err.is_terminal):
        raise UsageError(f"{consequence}, which cannot be undone. Nothing was changed: add --yes if you want this")
    if not typer.confirm(f"{printable(consequence)}, which cannot be undone. Go on?", err=True):
        raise ReelsyncError("Nothing was changed")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine of a command to its end."""
    return asyncio.run(work)


def complain(message: str) -> None:
    """Print an error in red: no markup, no line breaks inside words, and control characters escaped."""
    err.print(Text.assemble(("error: ", "bold red"), printable_lines(message)), soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document to standard output, in UTF-8 in every terminal."""
    write_out(json_bytes(document, indent=True, default=_plain) + b"\n")


async def print_json_rows(pages: AsyncIterable[Sequence[Any]], tell: Callable[[int], None]) -> None:
    """Print one JSON array to standard output page by page, so that it may be larger than memory. No page is empty.

    `tell` is called with the number of rows of each page.
    """
    opening = b"["
    async for page in pages:
        elements = json_bytes(page, indent=True, default=_plain).removeprefix(b"[").removesuffix(b"\n]")
        write_out(opening + elements)
        opening = b","
        tell(len(page))
    write_out(b"[]\n" if opening == b"[" else b"\n]\n")


def write_out(content: bytes) -> None:
    """Write bytes to standard output, after everything that was printed before."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)


def print_rows(title: str | None, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a table: one line for a row, however long, so that what it shows can be copied, searched and cut.

    The title goes to standard error, and numbers to the right of their column.
    """
    listed = list(rows)
    numeric = [{type(row[column]) for row in listed} - {type(None)} <= {int, float} for column in columns]
    lines = [[column.replace("_", " ") for column in columns]]
    lines += ([_shown(row[column]) for column in columns] for row in listed)
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if title:
        err.print(Text(title, style="italic"), soft_wrap=True)
    for number, line in enumerate(lines):
        cells = zip(line, widths, numeric, strict=True)
        padded = (
            " " * (width - cell_len(cell)) + cell if right else set_cell_size(cell, width)
            for cell, width, right in cells
        )
        out.print(Text("  ".join(padded).rstrip(), style="" if number else "bold"), soft_wrap=True)


def shown_time(value: datetime) -> str:
    """A time as all output has it, to the millisecond: `2026-11-28T08:56:56.392Z`."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plural(number: int, what: str) -> str:
    """`1 letter`, `2 letters`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return shown_time(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else printable(str(value))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return str(value)


def _problem(problem: Mapping[str, Any]) -> str:
    """The sentence about one wrong setting, or about several that do not fit together, which it names itself."""
    sentence = _sentence(problem)
    return sentence if sentence.startswith(PREFIX) else f"{_variable(problem['loc'])}: {sentence}"


def _variable(location: tuple[int | str, ...]) -> str:
    if location == ("database",):
        location = ("database", "url")
    if location[:2] == ("kafka", "topics") and len(location) > 2:  # noqa: PLR2004 - what follows is the topic
        # Pydantic names the form that it tried after the topic: it is left out.
        topic, *rest = location[2:]
        return f"{_TOPICS}, topic {topic}" + "".join(f", {part}" for part in rest[1:] if part != "[key]")
    return PREFIX + "__".join(str(part).upper() for part in location)


def _sentence(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing" and problem["loc"][0] == "kafka":
        return "is missing: see docs/debezium.md"
    if problem["type"] == "missing":
        return "is not set. For example: postgresql+asyncpg://user:password@localhost:5432/reelsync"
    if problem["type"] == "dict_type":
        return f"is not a JSON object, such as {_TOPICS_EXAMPLE}"
    ours = problem.get("ctx", {}).get("error")  # Pydantic's own message begins with the kind of the error.
    return str(ours or problem["msg"])
