"""The commands that are in no group: their options and help. What each does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from reelsync.consumer.operations.verify.spool import MOST_SLICES

from .options import ArchiveOption, JsonOption, YesOption


def run(
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the group's partitions.")] = 1,
    no_live: Annotated[bool, typer.Option("--no-live", help="Write only logs, in a terminal too.")] = False,
) -> None:
    """Consume events until SIGTERM or SIGINT. In a terminal, show the state below the log.

    Example: reelsync run --workers 2
    """
    from .run import run as command

    command(workers, no_live=no_live)


def worker(number: int, channel: int) -> None:
    """Consume as worker NUMBER, and report to the supervisor over the inherited socket CHANNEL.

    Example: reelsync run --workers 2
    """
    from .worker import worker as command

    command(number, channel)


def migrate(
    json: JsonOption = False,
    sql: Annotated[bool, typer.Option("--sql", help="Change nothing; print what would be run, for psql.")] = False,
) -> None:
    """Bring the database's schema up to this version. It is safe to run this at any time, and several times at once.

    Example: reelsync migrate

    Example: reelsync migrate --sql > migration.sql
    """
    from .migrate import migrate as command

    command(json=json, sql=sql)


def check(json: JsonOption = False) -> None:
    """Check settings, brokers, topics, database, schema and positions, and print a fix for each problem.

    Example: reelsync check --json
    """
    from .check import check as command

    command(json=json)


def publish(
    file: Annotated[str, typer.Argument(help="JSON Lines, one structured event each; - for standard input.")],
    json: JsonOption = False,
) -> None:
    """Publish events from a file. Lines that are not valid events are reported and skipped; all others are sent.

    Example: reelsync publish examples/lifecycle.jsonl
    """
    from .publish import publish as command

    command(file, json=json)


def lag(json: JsonOption = False) -> None:
    """Show how far the group is behind, partition by partition. The exit code is 1 if a position does not fit its log.

    Example: reelsync lag --json
    """
    from .lag import lag as command

    command(json=json)


def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="EVENT_ID|AGGREGATE_ID", help="The id of an event, user, video or usage.")
    ],
    topic: Annotated[list[str] | None, typer.Option(help="Look in this topic only; may be repeated.")] = None,
    since: Annotated[
        str,
        typer.Option(help="Read only what was written at this time or later: 2026-01-05T10:00:00Z or @MILLISECONDS."),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Find an event: not yet consumed, applied, superseded, a dead letter, or not in the log at all.

    Reads the log from its beginning or from --since, and also looks for rows and dead letters. Shows no values. The
    exit code is 1 if nothing is found, and 3 if a partition could not be read whole.

    Example: reelsync trace 01944b2d-0a00-7b01-9d11-1122334455a1 --since 2026-01-05T00:00:00Z
    """
    from .trace import trace as command

    command(wanted, topic, since, json=json)


def verify(
    slices: Annotated[
        int, typer.Option(min=0, max=MOST_SLICES, help="Compare in so many parts, to save memory. 0: automatic.")
    ] = 0,
    limit: Annotated[
        int, typer.Option(min=0, help="Show so many findings of each cause with --values or --json.")
    ] = 50,
    values: Annotated[bool, typer.Option("--values", help="Show the values, which are personal data.")] = False,
    unlogged_ok: Annotated[
        bool, typer.Option("--unlogged-ok", help="Accept rows that are not in the log: services write some.")
    ] = False,
    letters_ok: Annotated[
        bool, typer.Option("--deleted-letters-ok", help="Accept invalid records whose dead letter was deleted.")
    ] = False,
    archive: ArchiveOption = None,
    json: JsonOption = False,
) -> None:
    """Calculate all rows from the log by independent code, and name those that differ. Consumers may run meanwhile.

    Compares up to the group's positions. The exit code is 0 if every row agrees, 1 if one does not, and 3 if that is
    not known, because a partition could not be read whole. Rows that are not in the log count as wrong, unless the
    beginning of the log was deleted: then they cannot be verified.

    Example: reelsync verify --limit 20
    """
    from .verify import verify as command

    command(slices, limit, archive, values=values, unlogged_ok=unlogged_ok, letters_ok=letters_ok, json=json)


def rebuild(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; only say which rows would change.")
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss",
            help="Also delete rows and facets that are not in the log; corrected letters are parked again.",
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Do not continue an interrupted replay, but begin again.")
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Only drop the shadow tables of an earlier run.")] = False,
    yes: YesOption = False,
    archive: ArchiveOption = None,
    json: JsonOption = False,
) -> None:
    """Replay the whole log into shadow tables, up to the group's positions, and replace the rows that differ.

    Consumers may run meanwhile. They wait for a moment while one transaction replaces the rows; readers do not wait.
    What is not in the log is kept, unless --accept-loss is given. REELSYNC_DATABASE__URL must name the role that
    migrates. An interrupted run has changed nothing, and the next run continues it. A dry run also replaces the rows
    and then rolls that back, so consumers wait as long.

    Example: reelsync rebuild --dry-run
    """
    from .rebuild import rebuild as command

    command(archive, dry_run=dry_run, accept_loss=accept_loss, restart=restart, discard=discard, yes=yes, json=json)


def erase(
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The id of the user.")],
    because: Annotated[
        str | None,
        typer.Option(help="Why, such as a ticket; kept beside the digest of the id. No personal data, please."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: count the rows.")] = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Erase a person for good: user, profile, all videos, their dead letters, and the id in model usage.

    It counts the rows and asks before it erases. If it is interrupted, run it again. Nothing brings the person back,
    and later events of the person write nothing personal. What is in Kafka stays there: see docs/erasure.md.

    Example: reelsync erase 01944b2c-3f10-7a01-8c55-5f0a1b2c3d01 --dry-run
    """
    from .erase import erase as command

    command(user_id, because, dry_run=dry_run, yes=yes, json=json)


def archive(
    topic: Annotated[str, typer.Argument(help="The topic.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the archives of all topics are.")],
    json: JsonOption = False,
) -> None:
    """Add the new records of a topic to an archive in files.

    Run it more often than the retention of the topic is long. If it is interrupted, the next run continues it.
    `rebuild` and `verify` read the records again with --from DIR. The files hold personal data, also of erased people.

    Example: reelsync archive video-events /var/lib/reelsync/archive
    """
    from .archive import archive as command

    command(topic, directory, json=json)
