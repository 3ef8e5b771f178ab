"""How far a long command is, on standard error, for a terminal alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .terminal import err, out


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class Bar:
    """A bar to be told how much more is done, and how much more there is to do."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)
        self._total = total

    def __call__(self, done: int) -> None:
        """So many more are done."""
        self._progress.advance(self._task, done)

    def reach(self, done: int) -> None:
        """So many are done by now."""
        self._progress.update(self._task, completed=done)

    def expect(self, more: int) -> None:
        """There is more to do than was known."""
        self._total += more
        self._progress.update(self._task, total=self._total)


@contextmanager
def counted(what: str, total: int = 0, *, beside_output: bool = False) -> Iterator[Bar]:
    """A bar with rate and time to go, for as long as the context lasts; none in a terminal that shows the output."""
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=err, transient=True, disable=not err.is_terminal or (beside_output and out.is_terminal)
    ) as progress:
        yield Bar(progress, what, total)
