"""`reelsync trace`."""

from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import typer
from rich.text import Text

from reelsync.consumer.escaping import printable
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.kafka.log import KafkaLog
from reelsync.consumer.operations.obstacles import INCOMPLETE, documents
from reelsync.consumer.operations.offset_reset import parse_target
from reelsync.consumer.operations.trace.outcome import Fate, Seen
from reelsync.consumer.operations.trace.search import Needle, SearchedRange, Trace, Traced
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of
from reelsync.consumer.settings import Settings
from reelsync.consumer.transform.decode import Rejection, decoder

from .logs import topics_of_group
from .obstacles import complain_of
from .progress import counted
from .terminal import UsageError, err, load, out, print_json, run_async, shown_time


def trace(wanted: str, topic: list[str] | None, since: str, *, json: bool) -> None:
    """Carry out the command."""
    after = _time(since)
    settings = load(Settings)
    traced = run_async(run_trace(settings, wanted, topic, after))
    if json:
        print_json(as_json_document(traced))
    else:
        _print(traced, wanted)
    if traced.obstacles:
        raise typer.Exit(INCOMPLETE)
    if not (traced.found or traced.letters or traced.rows):
        raise typer.Exit(1)


def _time(since: str) -> datetime | None:
    if not since:
        return None
    try:
        target = parse_target(since)
    except ValueError:
        target = "earliest"
    if not isinstance(target, datetime):
        raise UsageError(
            f"--since must be a time since 1970 with its zone (2026-01-05T10:00:00Z) or @MILLISECONDS, not {since!r}"
        )
    return target


async def run_trace(settings: Settings, wanted: str, topics: list[str] | None, since: datetime | None) -> Traced:
    """Search the log, the rows and the dead letters.

    Raises:
        ReelsyncError: a server cannot be used, or there is no such topic.
    """
    kafka = settings.kafka
    log = KafkaLog(kafka)
    engine = engine_of(settings.database)
    try:
        with explained(settings.database), counted("Reading the log") as bar:
            async with diagnosed(kafka):
                cluster_id, topics_there = await log.cluster()
                found = await topics_of_group(settings, topics_there)
                if unknown := [name for name in topics or () if name not in found]:
                    raise UsageError(f"{', '.join(unknown)} is not among the topics of REELSYNC_KAFKA__TOPICS")
                chosen = {name: count for name, count in found.items() if not topics or name in topics}
                decode = decoder(kafka.topics, kafka.max_value_bytes)
                search = Trace(log, engine, decode, kafka.group_id, chosen, Needle(wanted), since, cluster_id)
                search.expect, search.progress = bar.expect, bar
                return await search.run()
    finally:
        await engine.dispose()


def as_json_document(traced: Traced) -> dict[str, Any]:
    """The answer as a JSON document."""
    return {
        "found": [_line(seen, fate) | {"what": fate.what} for seen, fate in traced.found],
        "rows": traced.rows,
        "dead_letters": [dict(letter) for letter in traced.letters],
        "looked": [
            {
                "topic": part.partition.topic,
                "partition": part.partition.number,
                "from": part.start,
                "to": part.end,
                "since": _shown_time(part.written),
            }
            for part in traced.looked
        ],
        "not_read": documents(traced.obstacles),
    }


def _line(seen: Seen, fate: Fate) -> dict[str, Any]:
    verdict = seen.verdict
    rejected = isinstance(verdict, Rejection)
    return {
        "place": seen.place,
        "written": _shown_time(seen.record.timestamp),
        "type": verdict.event_type if isinstance(verdict, Rejection) else verdict["type"],
        "version": None if rejected else seen.version,
        "event_id": verdict.event_id if isinstance(verdict, Rejection) else verdict["id"],
        "fate": fate.sentence,
    }


def _print(traced: Traced, wanted: str) -> None:
    for line in (_line(seen, fate) for seen, fate in traced.found):
        version = f" · version {line['version']}" if line["version"] is not None else ""
        what = f"{line['type'] or 'no event'}{version} · {line['event_id'] or 'no id'}"
        headline = f"{line['place']} · {line['written']} · {what}"
        out.print(Text.assemble((printable(headline), "bold"), f"\n    {printable(line['fate'])}"), soft_wrap=True)
    if not traced.found:
        out.print(f"No record of {printable(wanted)} in what was read of the log.", markup=False, highlight=False)
    for row in traced.rows:
        out.print(Text(f"{row['table']} {row['id']} · {_versions(row)}"), soft_wrap=True)
    if traced.found and not traced.rows:
        out.print("There is no row for it.")
    for letter in traced.letters:
        place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
        out.print(
            Text(f"dead letter {place} · {letter['state']} · {letter['reason']} · its record was not found in the log"),
            soft_wrap=True,
        )
    for topic, parts in groupby(traced.looked, lambda part: part.partition.topic):
        err.print(_searched(topic, list(parts)), markup=False, highlight=False, soft_wrap=True)
    complain_of(traced.obstacles)


def _searched(topic: str, parts: list[SearchedRange]) -> str:
    offsets = sum(part.end - part.start for part in parts)
    written = [part.written for part in parts if part.written is not None]
    since = f", the oldest written {_shown_time(min(written))}" if written else ""
    skipped = ", from its beginning" if not any(part.start for part in parts) else ""
    return f"Looked through {offsets:,} offsets of {topic}{skipped}{since}."


def _versions(row: dict[str, Any]) -> str:
    if row["erased"]:
        return "erased"
    if row["placeholder"]:
        return "a placeholder: other rows refer to it, and no event of its own has come"
    return (
        ", ".join(f"{name.removesuffix('_version')} {held}" for name, held in row["versions"].items() if held)
        or "a fact"
    )


def _shown_time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    try:
        return shown_time(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OSError, OverflowError, ValueError):
        return f"@{milliseconds}"
