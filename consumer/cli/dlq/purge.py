"""`reelsync dlq purge`."""

from datetime import timedelta

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import (
    UsageError,
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

from .selection import age_of, letters_engine


def purge(older_than: str, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Carry out the command."""
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
