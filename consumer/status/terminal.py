"""How it is, for a terminal: the status of a process as a few lines. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .document import Status, TopicStatus, WorkerStatus
from .notices import Level, Notice
from .wording import counted, duration, rate

_STYLES: dict[Level | None, str] = {"ok": "bold green", "warning": "bold yellow", "error": "bold red", None: ""}
_LEVELS: dict[Level, str] = {"ok": "OK", "warning": "Attention", "error": "Trouble"}
_QUIET = "dim"
_GAP = "   "
_COLUMNS = ("process", "partitions", "throughput", "lag", "event age", "restarts")
_NARROW = 64
"""Columns. Below, the table of workers leaves out what can be missed."""


def frame(status: Status, width: int) -> RenderableType:
    """What is shown now, in so many columns. Lines are not padded, so few break when the terminal gets narrower."""
    parts: list[RenderableType] = [_notice(notice) for notice in status.notices]
    parts += [_figures(status, width), _phases(status.phase_seconds, width)]
    if len(status.workers) > 1:
        parts.append(_workers(status.workers, narrow=width < _NARROW))
    parts += [_topic(topic, width) for topic in status.topics]
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


def _figures(status: Status, width: int) -> Text:
    """Servers and figures, coloured by their level."""
    figures = [_figure(tile.name, tile.figure, _STYLES[tile.level]) for tile in status.tiles]
    figures += [_figure("Up", duration(status.uptime_seconds)), _figure("Group", status.group)]
    return _side_by_side(figures, width)


def _phases(seconds: Mapping[str, float], width: int) -> Text:
    """Where the time of the last minute went."""
    whole = sum(seconds.values())
    parts = [_figure(phase, f"{100 * spent / whole:.0f} %") for phase, spent in seconds.items()] if whole else []
    return _side_by_side([Text("Time of the last minute", _QUIET), *(parts or [Text("–")])], width)


def _topic(topic: TopicStatus, width: int) -> Text:
    """All partitions of a topic on one line."""
    states = ", ".join(f"{counted(count, 'partition')} {state}" for state, count in topic.states.items())
    style = "red" if "halted" in topic.states else ""
    return _side_by_side([Text(topic.topic), Text(states, style), _figure("lag", _number(topic.lag))], width)


def _side_by_side(parts: Iterable[Text], width: int) -> Text:
    """As many on a line as fit. Rich would break the lines within a part, even at a no-break space."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(_GAP) + part.cell_len <= width:
            lines[-1] = Text(_GAP).join([lines[-1], part])
        else:
            lines.append(part)
    return Text("\n").join(lines)


def _figure(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name} ", _QUIET), (value, style))


def _workers(workers: list[WorkerStatus], *, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style=_QUIET)
    table.add_column("worker", no_wrap=True)
    for name in ("throughput", "lag") if narrow else _COLUMNS:
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
    yield "throughput", rate(worker.records_per_second)
    yield "lag", _number(worker.lag)
    yield "event age", _age(worker.age_seconds)
    yield "restarts", str(worker.restarts)
    yield "state", "; ".join(worker.reasons) or "consumes"


def _number(value: int | None) -> str:
    return "not known" if value is None else f"{value:,}"


def _age(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)
