"""`reelsync dlq redrive`."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import err, load, print_json, run_async
from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts
from reelsync.consumer.dead_letters.outcomes import verdict_on
from reelsync.consumer.dead_letters.queries import all_letters
from reelsync.consumer.dead_letters.redrive import Redrive, Tally
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.settings import Settings
from reelsync.consumer.sink.writer import BatchWriter
from reelsync.consumer.transform.decode import decoder
from reelsync.consumer.transform.fold import fold_type

from .options import REASONS, Filters
from .selection import count_letters, letters_engine, require_selection


@dataclass
class Report:
    """The result of a run. `left_out` letters were tried too often; `conflicts` are all name conflicts of the group."""

    tally: Tally = field(default_factory=Tally)
    left_out: int = 0
    conflicts: Counter[str] = field(default_factory=Counter)


def redrive(
    filters: Filters, *, corrected: bool, untried: bool, everything: bool, dry_run: bool, force: bool, json: bool
) -> None:
    """Carry out the command."""
    settings = load(Settings)
    selection = filters.selection(corrected=corrected, untried=untried)
    require_selection(selection, everything=everything)
    report = _redriven(settings, selection, dry_run=dry_run, force=force)
    if json:
        print_json(_document(report, dry_run=dry_run))
    else:
        _print(settings, report, dry_run=dry_run)
    _exit_unless_done(selection, report, dry_run=dry_run)


def _redriven(settings: Settings, selection: Selection, *, dry_run: bool, force: bool) -> Report:
    report = Report()
    try:
        run_async(_dry_run(settings, selection, report) if dry_run else _run(settings, selection, report, force=force))
    except (KeyboardInterrupt, Exception):
        if report.tally.attempted:
            err.print(f"Stopped after {report.tally.last}. What is committed stays: {_sentence(report, 'applied')}.")
            err.print("Run the same command again to continue; with --untried it skips what was attempted.")
        raise
    return report


def _exit_unless_done(selection: Selection, report: Report, *, dry_run: bool) -> None:
    """End with exit code 1 if letters are still parked, or if no letter is parked at the place that was given."""
    if selection.place and not (report.tally.attempted or report.left_out or report.conflicts.total()):
        err.print(f"No letter is parked at {selection.place}: see `reelsync dlq show {selection.place}`.")
        raise typer.Exit(1)
    if not dry_run and (report.tally.still or report.left_out or report.conflicts["parked"]):
        raise typer.Exit(1)


async def _run(settings: Settings, selection: Selection, report: Report, *, force: bool) -> None:
    group = settings.kafka.group_id
    decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
    async with letters_engine(settings) as engine:
        writer = BatchWriter(engine, group, fold_type(video_states=settings.batch.video_states))
        singly = await _singly(engine, settings, selection, report, force=force)
        total = await count_letters(engine, group, singly)
        with counted("Redriving", total) as bar:

            def show(tally: Tally) -> None:
                report.tally = tally
                bar.reach(tally.attempted)

            if singly.reasons or not selection.reasons:
                report.tally = await Redrive(engine, group, writer, decode).run(singly, show)
        if await count_letters(engine, group, _conflicts(selection)):
            done = await redrive_conflicts(engine, group, writer, decode)
            report.conflicts.update(applied=done.applied, parked=done.parked)
            # They include the letters that became name conflicts in this run.
            del report.tally.still["conflict"]


async def _singly(
    engine: AsyncEngine, settings: Settings, selection: Selection, report: Report, *, force: bool
) -> Selection:
    """The selected letters that are redriven one by one: no name conflicts, and none that was tried too often."""
    wanted = selection.reasons or REASONS
    singly = replace(selection, reasons=tuple(reason for reason in wanted if reason != "conflict"))
    if force:
        return singly
    limit = settings.dead_letters.max_redrives
    exhausted = replace(singly, redrives_from=limit)
    report.left_out = await count_letters(engine, settings.kafka.group_id, exhausted) if singly.reasons else 0
    return replace(singly, redrives_below=limit)


def _conflicts(selection: Selection) -> Selection:
    wanted = not selection.reasons or "conflict" in selection.reasons
    return replace(selection, reasons=("conflict",) if wanted else ("none",))


async def _dry_run(settings: Settings, selection: Selection, report: Report) -> None:
    group = settings.kafka.group_id
    decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
    async with letters_engine(settings) as engine:
        singly = await _singly(engine, settings, selection, report, force=False)
        total = await count_letters(engine, group, singly)
        with counted("Checking", total) as bar:
            async with engine.connect() as connection:
                async for letters in all_letters(connection, group, singly):
                    report.tally.add([verdict_on(letter, decode) for letter in letters])
                    bar.reach(report.tally.attempted)
        report.conflicts["parked"] = await count_letters(engine, group, _conflicts(selection))


def _document(report: Report, *, dry_run: bool) -> dict[str, Any]:
    tally = report.tally
    return {
        "dry_run": dry_run,
        "attempted": tally.attempted,
        "applied": tally.applied,
        "blank": tally.blank,
        "still_parked": dict(tally.still),
        "tried_too_often": report.left_out,
        "conflicts": {"applied": report.conflicts["applied"], "parked": report.conflicts["parked"]},
    }


def _print(settings: Settings, report: Report, *, dry_run: bool) -> None:
    err.print(f"{_sentence(report, 'would be applied' if dry_run else 'applied')}.")
    if report.left_out:
        limit = settings.dead_letters.max_redrives
        err.print(
            f"{report.left_out:,} left out, because {limit} redrives did not help: see what is wrong (`dlq show`), "
            "correct them (`dlq export`, `dlq import`), or use --force."
        )
    if report.conflicts.total():
        err.print(
            f"Name conflicts are redriven all together (a running consumer does this by itself, too): "
            f"{report.conflicts['applied']:,} applied, {report.conflicts['parked']:,} still parked."
        )


def _sentence(report: Report, applied: str) -> str:
    tally = report.tally
    parts = [f"{tally.applied:,} {applied}"]
    if tally.blank:
        parts.append(f"{tally.blank:,} blank, with nothing left to apply")
    if tally.still:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.still.most_common())
        parts.append(f"{tally.still.total():,} still wrong ({reasons})")
    return "; ".join(parts)
