"""The commands of `offsets` and `schema`: their options and help. What each does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from .options import JsonOption, Requirement, YesOption


def show_offsets(json: JsonOption = False) -> None:
    """Show the group's position in each partition, and where the partition's log begins and ends.

    The lag is the number of offsets that are still to be read, and the age is how long ago the oldest of these records
    was written. "Updated at" is when the position last moved. The exit code is 1 if a position does not fit its log, so
    that a consumer halts there. Partitions that no longer exist are named. If Kafka does not answer, the positions are
    shown without the rest.

    Example: reelsync offsets show
    """
    from .offsets import show as command

    command(json=json)


def reset_offsets(
    topic: Annotated[str | None, typer.Argument(help="The topic; left out with --all.")] = None,
    partition: Annotated[
        int | None, typer.Argument(min=0, help="The partition; all of the topic's if left out.")
    ] = None,
    to: Annotated[
        str, typer.Option(help="earliest, latest, an offset, a time (2026-01-05T10:00:00Z) or @MILLISECONDS.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="All partitions of all topics of the settings.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Reset even while consumers read these partitions.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only say what would be done.")] = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Set the position of a partition, of a topic, or of all topics.

    With a time, the position becomes the first record written then or later. Refused while consumers read one of the
    partitions, unless --force is given. A partition that consumers have halted can always be reset, because nobody
    reads it. A running consumer notices the new position at its next batch, and continues from there. Records that are
    skipped are never read: that needs --yes, or your answer in a terminal.

    Example: reelsync offsets reset video-events 3 --to earliest
    """
    from .reset import reset as command

    command(topic, partition, to, every=every, force=force, dry_run=dry_run, yes=yes, json=json)


def export_schema(
    directory: Annotated[Path, typer.Argument(help="The directory to write to; created if it does not exist.")],
    json: JsonOption = False,
) -> None:
    """Write the contract: a JSON Schema for writers and one for readers of every event type, and an AsyncAPI document.

    Example: reelsync schema export contract/
    """
    from .schema import export as command

    command(directory, json=json)


def check_schema(
    old: Annotated[Path, typer.Argument(help="The old contract: a directory, or one schema.")],
    new: Annotated[Path, typer.Argument(help="The new contract: likewise.")],
    require: Annotated[
        Requirement, typer.Option(help="Exit with 1 if a type is less compatible than this.")
    ] = "backward",
    json: JsonOption = False,
) -> None:
    """Check whether the change of each event type's schema is compatible, and explain what is not.

    BACKWARD: new readers read what was written before. FORWARD: old readers read what is written from now on. FULL:
    both. NONE: neither.

    Example: reelsync schema check contract/ new-contract/ --require full
    """
    from .schema import check as command

    command(old, new, require, json=json)
