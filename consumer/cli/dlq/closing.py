"""`reelsync dlq discard` and `dlq restore`."""

from collections.abc import Callable, Coroutine
from typing import Any

import typer

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import UsageError, err, load, plural, print_json, run_async
from reelsync.consumer.dead_letters import closing
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.settings import Settings

from .options import Filters
from .selection import count_letters, letters_engine, require_selection

_Move = Callable[..., Coroutine[Any, Any, int]]


def discard(filters: Filters, because: str, by: str | None, *, everything: bool, dry_run: bool, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    selection = filters.selection()
    require_selection(selection, everything=everything)
    if not because.strip():
        raise UsageError("--because must say why")
    moved = run_async(_moved(settings, selection, closing.discard, Entry(because, by), dry_run=dry_run))
    _say(moved, "discarded", dry_run=dry_run, json=json)


def restore(
    filters: Filters, because: str | None, by: str | None, *, everything: bool, dry_run: bool, json: bool
) -> None:
    """Carry out the command."""
    settings = load(Settings)
    selection = filters.selection(states=("discarded",))
    require_selection(selection, everything=everything)
    moved = run_async(_moved(settings, selection, closing.restore, Entry(because, by), dry_run=dry_run))
    _say(moved, "restored", dry_run=dry_run, json=json)


async def _moved(settings: Settings, selection: Selection, move: _Move, entry: Entry, *, dry_run: bool) -> int:
    group = settings.kafka.group_id
    async with letters_engine(settings) as engine:
        total = await count_letters(engine, group, selection)
        if dry_run:
            return total
        with counted("Letters", total) as bar:
            return await move(engine, group, selection, entry, bar.reach)


def _say(moved: int, done: str, *, dry_run: bool, json: bool) -> None:
    if json:
        print_json({done: 0 if dry_run else moved, "selected": moved, "dry_run": dry_run})
    else:
        err.print(f"{plural(moved, 'letter')} {'would be ' if dry_run else ''}{done}.")
    if not moved:
        raise typer.Exit(1)
