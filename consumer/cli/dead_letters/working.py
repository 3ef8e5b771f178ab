"""A command's connection to the letters, and its progress."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from consumer.app import engine_of
from consumer.cli.terminal import err
from consumer.database_errors import explained
from consumer.letters import reading
from consumer.letters.selection import Selection
from consumer.settings import Settings


@asynccontextmanager
async def letters_engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine for one command.

    Raises:
        ReelsyncError: the database cannot be used; says why.
    """
    engine = engine_of(settings.database)
    try:
        with explained(settings.database):
            yield engine
    finally:
        await engine.dispose()


async def count_letters(engine: AsyncEngine, group: str, selection: Selection) -> int:
    """How many letters are selected."""
    async with engine.connect() as connection:
        return await reading.count(connection, group, selection)


@contextmanager
def progress_over(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal; call what it yields with how many are done."""
    columns = (SpinnerColumn(), TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.update(task, completed=done)
