"""A progress bar for long commands, on standard error, in a terminal only."""

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
    """The number of steps a second."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class Bar:
    """A progress bar whose count and total can both grow."""

    def __init__(self, progress: Progress, what: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total)
        self._total = total

    def __call__(self, done: int) -> None:
        """Add to the count."""
        self._progress.advance(self._task, done)

    def reach(self, done: int) -> None:
        """Set the count."""
        self._progress.update(self._task, completed=done)

    def expect(self, more: int) -> None:
        """Add to the total."""
        self._total += more
        self._progress.update(self._task, total=self._total)


@contextmanager
def counted(what: str, total: int = 0, *, beside_output: bool = False) -> Iterator[Bar]:
    """Show a bar with rate and remaining time during the block, unless the same terminal shows the command's output."""
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
