"""`reelsync erase`."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

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
from reelsync.consumer.operations.erase import count_rows
from reelsync.consumer.operations.erase import erase as erase_person
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from reelsync.events import canonical_id

_ROWS = ("users", "user_profiles", "videos", "video_states", "model_usage", "dead_letters")


def erase(user_id: str, because: str | None, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Carry out the command."""
    try:
        person = canonical_id(user_id)
    except ValueError as error:
        raise UsageError("USER_ID must be a UUID: 32 hex digits, with or without dashes") from error
    found, done = run_async(_run(load(Settings), person, because, dry_run=dry_run, yes=yes))
    if json:
        print_json({"found": found, "done": done, "dry_run": dry_run})
    elif dry_run:
        err.print(_counted("Rows that would be erased", found))
    else:
        err.print(_counted("Rows erased", done))


async def _run(
    settings: Settings, person: str, because: str | None, *, dry_run: bool, yes: bool
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    engine = engine_of(settings.database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        stack.enter_context(explained(settings.database))
        found = await count_rows(engine, person)
        if found["erased_before"]:
            err.print("This person was erased before.")
        if found["videos_of_others"]:
            err.print(f"{plural(found['videos_of_others'], 'video')} among these have another owner by now.")
        if dry_run:
            return found, {}
        confirm(_counted("Rows that will be erased", found), yes=yes)
        with counted("Rows", sum(found[table] for table in _ROWS)) as bar:
            return found, await erase_person(engine, person, because, bar.reach)


def _counted(what: str, rows: Mapping[str, int]) -> str:
    return f"{what}: " + ", ".join(f"{table} {rows.get(table, 0):,}" for table in _ROWS)
