"""How it is, for a terminal: the status of a process as a few lines. Pure."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .document import Status, WorkerStatus
from .notices import Level, Notice
from .wording import WHOLE, counted, duration

_STYLES: dict[Level, str] = {"ok": "bold green", "warning": "bold yellow", "error": "bold red"}
_LEVELS: dict[Level, str] = {"ok": "OK", "warning": "Attention", "error": "Trouble"}
_QUIET = "dim"
_NARROW = 64
"""Columns. Below, the table of workers leaves out what can be missed."""


def frame(status: Status, width: int) -> RenderableType:
    """What is shown now, in so many columns. Lines are not padded, so few break when the terminal gets narrower."""
    parts: list[RenderableType] = [_notice(notice) for notice in status.notices]
    parts.append(_figures(status))
    if len(status.workers) > 1:
        parts.append(_workers(status.workers, narrow=width < _NARROW))
    # The terminal echoes ^C in the last line, where the cursor is: if that line were full, ^C would break the frame.
    return Group(*parts, Text())


def last_frame(status: Status) -> RenderableType:
    """What remains when the process has ended."""
    what = [counted(status.counts.records, "record"), counted(sum(status.dead_letters.values()), "dead letter")]
    return Text(f"Ended after {duration(status.uptime_seconds)}: {', '.join(what)}", style="bold")


def _notice(notice: Notice) -> Text:
    """A sentence, and what to do about it."""
    text = Text.assemble((f"{_LEVELS[notice.level]}: ", _STYLES[notice.level]), notice.text)
    if notice.fix:
        text.append(f". What to do: {notice.fix}")
    if notice.command:
        text.append(f" ({notice.command})", _QUIET)
    return text


def _figures(status: Status) -> Text:
    """Each on one line with its name, however narrow the terminal is."""
    ages = [age for age in status.history.age_seconds if age is not None]
    figures = {
        "rate": _rate(status.records_per_second),
        "lag": _number(status.lag),
        "event age": _age(ages[-1] if ages else None),
        "dead letters": _number(sum(status.dead_letters.values())),
        "up": duration(status.uptime_seconds),
        "group": status.group,
    }
    return Text("   ").join(_figure(name, value) for name, value in figures.items())


def _figure(name: str, value: str) -> Text:
    space = "\N{NO-BREAK SPACE}"
    return Text.assemble((f"{name} ".replace(" ", space), _QUIET), value.replace(" ", space))


def _workers(workers: list[WorkerStatus], *, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style=_QUIET)
    table.add_column("worker", no_wrap=True)
    for name in ("rate", "lag") if narrow else ("process", "partitions", "rate", "lag", "event age", "restarts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state")
    for worker in workers:
        cells = dict(_cells(worker))
        names = [str(column.header) for column in table.columns]
        table.add_row(*(Text(cells[name], style="" if worker.live else "red") for name in names))
    return table


def _cells(worker: WorkerStatus) -> Iterator[tuple[str, str]]:
    yield "worker", str(worker.number)
    yield "process", str(worker.pid or "–")
    yield "partitions", str(worker.partitions)
    yield "rate", _rate(worker.records_per_second)
    yield "lag", _number(worker.lag)
    yield "event age", _age(worker.age_seconds)
    yield "restarts", str(worker.restarts)
    yield "state", "; ".join(worker.reasons) or "consumes"


def _rate(per_second: float) -> str:
    return f"{per_second:,.{0 if per_second >= WHOLE or not per_second else 1}f}/s"


def _number(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)
