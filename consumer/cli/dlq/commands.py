"""The commands for dead letters: their options and help. What each does is imported when it runs."""

from typing import Annotated

import typer

from reelsync.consumer.cli.options import JsonOption, YesOption

from .options import (
    AllOption,
    BecauseOption,
    ByOption,
    CorrectedOption,
    DryRunOption,
    Filters,
    UntriedOption,
    filtering,
)


@filtering
def list_letters(
    filters: Filters,
    corrected: CorrectedOption = False,
    state: Annotated[str, typer.Option(help="parked, redriven, discarded or all.")] = "parked",
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the most recently attempted first.")] = 50,
    counts: Annotated[
        bool, typer.Option("--count", help="Only count the letters, by reason, path of the problem, type and topic.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List dead letters, the latest first, or count them. Their contents are not shown.

    Example: reelsync dlq list --reason invalid --since 2h

    Example: reelsync dlq list --count
    """
    from .show import list_letters as command

    command(filters, state, limit, corrected=corrected, counts=counts, json=json)


def show(
    letter: Annotated[str, typer.Argument(metavar="PLACE", help="The letter: TOPIC/PARTITION/OFFSET.")],
    json: JsonOption = False,
) -> None:
    """Show one dead letter: what is wrong with it, what to do, and the record, as received and decoded.

    Example: reelsync dlq show video-events/3/1042
    """
    from .show import show as command

    command(letter, json=json)


@filtering
def redrive(
    filters: Filters,
    corrected: CorrectedOption = False,
    untried: UntriedOption = False,
    everything: AllOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; only say which letters would be valid now.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also redrive letters that were tried too often.")] = False,
    json: JsonOption = False,
) -> None:
    """Apply parked letters again. A letter that is still wrong stays parked.

    Consumers may run meanwhile. It is safe to repeat: order and repetition do not change the rows. If a run was
    stopped, run it again to continue; with --untried it skips the letters that the stopped run attempted. The exit code
    is 1 if letters are still parked, or if no letter is parked at the PLACE that was given.

    Example: reelsync dlq redrive --reason unknown_type --dry-run
    """
    from .redrive import redrive as command

    command(
        filters, corrected=corrected, untried=untried, everything=everything, dry_run=dry_run, force=force, json=json
    )


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
    from .closing import discard as command

    command(filters, because, by, everything=everything, dry_run=dry_run, json=json)


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
    from .closing import restore as command

    command(filters, because, by, everything=everything, dry_run=dry_run, json=json)


@filtering
def export(
    filters: Filters,
    corrected: CorrectedOption = False,
) -> None:
    """Write parked letters to standard output as JSON Lines, so that you can correct and import them.

    You may edit key, value and headers, and write the value as a JSON object. Blank letters are left out.

    Example: reelsync dlq export --reason invalid > letters.jsonl
    """
    from .transfer import export as command

    command(filters, corrected=corrected)


def import_lines(
    file: Annotated[str, typer.Argument(help="JSON Lines as `dlq export` writes them, edited; - for standard input.")],
    because: Annotated[str | None, typer.Option(help="The reason, kept in the letters' audit.")] = None,
    by: ByOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing; only say what is wrong.")] = False,
    json: JsonOption = False,
) -> None:
    """Store corrections of dead letters: all edited lines, or none of them if one is still wrong.

    The received records are kept. Nothing is applied yet: `reelsync dlq redrive --corrected` does that.

    Example: reelsync dlq import letters.jsonl --because "progress beyond 100, ticket 4711"
    """
    from .transfer import import_lines as command

    command(file, because, by, dry_run=dry_run, json=json)


def purge(
    older_than: Annotated[str, typer.Option(help="Delete letters that were closed longer ago than this, such as 90d.")],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete redriven and discarded letters for good. Needs the role that owns the tables.

    Example: reelsync dlq purge --older-than 365d --yes
    """
    from .purge import purge as command

    command(older_than, dry_run=dry_run, yes=yes, json=json)
