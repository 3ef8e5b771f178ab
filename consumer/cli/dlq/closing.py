"""`reelsync dlq discard` and `dlq restore`."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import JsonOption, UsageError, err, load, plural, print_json, run_async
from reelsync.consumer.dead_letters import closing
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.settings import Settings

from .selection import AllOption, Filters, count_letters, filtering, letters_engine, require_selection

BecauseOption = Annotated[str, typer.Option(help="The reason, kept in the letter's audit. No personal data.")]
ByOption = Annotated[str | None, typer.Option(help="Who does it. Default: the role of the database session.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Change nothing; only count the letters.")]

_Move = Callable[..., Coroutine[Any, Any, int]]


@filtering
def discard(
    filters: Filters,
    because: BecauseOption,
    everything: AllOption = False,
    by: ByOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Discard parked letters, for a reason. They stay in the table, and `restore` parks them again.

    Example: reelsync dlq discard video-events/3/1042 --because "test traffic, ticket 4711"
    """
    settings = load(Settings)
    selection = filters.selection()
    require_selection(selection, everything=everything)
    if not because.strip():
        raise UsageError("--because must say why")
    moved = run_async(_moved(settings, selection, closing.discard, Entry(because, by), dry_run=dry_run))
    _say(moved, "discarded", dry_run=dry_run, json=json)


@filtering
def restore(
    filters: Filters,
    everything: AllOption = False,
    because: Annotated[str | None, typer.Option(help="The reason, kept in the letter's audit.")] = None,
    by: ByOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Park discarded letters again.

    Example: reelsync dlq restore video-events/3/1042
    """
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
