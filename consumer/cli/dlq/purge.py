"""`reelsync dlq purge`."""

from datetime import timedelta
from typing import Annotated

import typer

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import (
    JsonOption,
    UsageError,
    YesOption,
    confirm,
    err,
    load,
    plural,
    print_json,
    run_async,
)
from reelsync.consumer.dead_letters.retention import count_expired
from reelsync.consumer.dead_letters.retention import purge as purge_letters
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.settings import Settings

from .closing import DryRunOption
from .selection import age_of, letters_engine


def purge(
    older_than: Annotated[str, typer.Option(help="Delete letters that were closed longer ago than this, such as 90d.")],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete redriven and discarded letters for good. Needs the role that owns the tables.

    Example: reelsync dlq purge --older-than 365d --yes
    """
    settings = load(Settings)
    age = age_of("--older-than", older_than)
    if not age:
        raise UsageError("--older-than must be longer than zero")
    try:
        purged = run_async(_purge(settings, age, dry_run=dry_run, yes=yes))
    except ReelsyncError as error:
        if error.sqlstate == "42501":
            message = f"{error}. `dlq purge` deletes rows, so REELSYNC_DATABASE__URL must name the role that migrates"
            raise ReelsyncError(message) from error
        raise
    if json:
        print_json({"purged": 0 if dry_run else purged, "selected": purged, "dry_run": dry_run})
    else:
        err.print(f"{plural(purged, 'letter')} {'would be ' if dry_run else ''}deleted.")


async def _purge(settings: Settings, age: timedelta, *, dry_run: bool, yes: bool) -> int:
    group = settings.kafka.group_id
    async with letters_engine(settings) as engine:
        with err.status("Counting the letters…"):
            async with engine.connect() as connection:
                total = await count_expired(connection, group, age)
        if dry_run:
            return total
        if total:
            confirm(f"{plural(total, 'letter')} will be deleted", yes=yes)
        with counted("Letters", total) as bar:
            return await purge_letters(engine, group, age, tell=bar.reach)
