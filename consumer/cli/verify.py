"""`reelsync verify`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.operations.obstacles import INCOMPLETE, documents
from reelsync.consumer.operations.verify.reading import Reading
from reelsync.consumer.operations.verify.reference import STATES, TABLES
from reelsync.consumer.operations.verify.report import Finding, Kind, Report
from reelsync.consumer.operations.verify.spool import MOST_SLICES
from reelsync.consumer.operations.verify.verification import Verification
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import patient_engine_of
from reelsync.consumer.runner import tune_garbage_collector
from reelsync.consumer.settings import Settings
from reelsync.consumer.transform.decode import decoder

from .logs import log_to_read
from .obstacles import complain_of
from .progress import counted
from .terminal import err, load, out, print_json, print_rows, run_async

_RECORDS_A_SLICE = 100_000
_NAMED = 6
_NAMED_OF_A_CAUSE = 2
_SHOWN_CAUSES = 20
_CAUSES = ("what", "table", "columns", "rows", "such_as")
_ALWAYS_WRONG: tuple[Kind, ...] = ("differs", "missing")


def verify(
    slices: int, limit: int, archive: Path | None, *, values: bool, unlogged_ok: bool, letters_ok: bool, json: bool
) -> None:
    """Carry out the command."""
    settings = load(Settings)
    tune_garbage_collector()
    report = run_async(run_verification(settings, slices, archive))
    wrong = sum(report.found[kind] for kind in _ALWAYS_WRONG)
    if not letters_ok:
        wrong += report.found["no_letter"]
    if report.explains_all and not unlogged_ok:
        wrong += report.found["unlogged"]
    agrees = None if report.obstacles and not wrong else not wrong
    shown = [_shown(finding, values=values) for finding in report.first(limit)]
    if json:
        print_json({"agrees": agrees, **_counts(report), "findings": shown})
    else:
        _print(report, shown if values else [], unlogged_ok=unlogged_ok, letters_ok=letters_ok)
    if wrong or report.obstacles:
        raise typer.Exit(1 if wrong else INCOMPLETE)


async def run_verification(settings: Settings, slices: int, archive: Path | None = None) -> Report:
    """Compare the rows with the log. With 0 slices, the size of the log decides how many there are.

    Raises:
        ReelsyncError: a server cannot be used, or the group has consumed nothing.
    """
    engine = patient_engine_of(settings.database)
    try:
        with explained(settings.database):
            async with diagnosed(settings.kafka):
                log, cluster_id, topics = await log_to_read(settings, archive)
                reading = Reading(log, None if archive else cluster_id, settings.kafka.group_id)
                decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
                tables = (*TABLES, STATES) if settings.batch.video_states else TABLES
                verification = Verification(reading, engine, decode, topics, tables)
                stretches = await verification.stretches()
                records = sum(span.next - span.start for span in stretches.values())
                verification.slices = slices or min(MOST_SLICES, -(-records // _RECORDS_A_SLICE) or 1)
                with counted("Folding the log", records) as reading.progress:
                    return await verification.run(stretches)
    finally:
        await engine.dispose()


def _counts(report: Report) -> dict[str, Any]:
    return {
        "records": report.records,
        "rows": dict(report.rows),
        "differs": report.found["differs"],
        "missing": report.found["missing"],
        "unlogged": report.found["unlogged"],
        "no_letter": report.found["no_letter"],
        "ahead": report.ahead,
        "waiting_for_names": report.waiting_for_names,
        "corrected": report.corrected,
        "without_position": [str(place) for place in report.without_position],
        "incomplete": {str(place): why for place, why in report.incomplete.items()},
        "uncertain": report.uncertain,
        "not_read": documents(report.obstacles),
        "causes": [
            {"what": cause.kind, "table": cause.table, "columns": list(cause.columns), "rows": count}
            for cause, count in report.causes.most_common()
        ],
    }


def _shown(finding: Finding, *, values: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "what": finding.kind,
        "table": finding.table,
        "id": finding.row_id,
        "columns": list(finding.columns),
    }
    if values:
        shown["expected"] = {name: finding.expected.get(name) for name in finding.columns}
        shown["found"] = {name: finding.held.get(name) for name in finding.columns}
    return shown


def _print(report: Report, shown: list[dict[str, Any]], *, unlogged_ok: bool, letters_ok: bool) -> None:
    if shown:
        print_rows("Findings", tuple(shown[0]), [row | {"columns": ", ".join(row["columns"])} for row in shown])
    elif report.causes:
        print_rows("Findings by what they have in common", _CAUSES, _by_cause(report))
    rows = ", ".join(f"{count:,} {table}" for table, count in report.rows.items())
    err.print(f"{report.records:,} records against {rows or 'no rows'}.", soft_wrap=True, highlight=False)
    for count, sentence in (
        (report.found["differs"], "rows differ from the log"),
        (report.found["missing"], "rows are missing"),
        (
            report.found["no_letter"],
            "invalid records have no dead letter (--deleted-letters-ok accepts them)",
        ),
        (report.found["unlogged"], _unlogged(report)),
        (
            report.ahead,
            "rows are newer than the group's positions or letters: it reads them again, or another group applied them",
        ),
        (report.waiting_for_names, "users wait for a name that another has: see `reelsync dlq list --reason conflict`"),
        (
            report.corrected,
            "rows hold corrections by hand that are no longer stored, so they cannot be compared",
        ),
        (report.uncertain, "rows differ in a way that events could explain that were not read"),
    ):
        if count:
            err.print(f"{count:,} {sentence}.", soft_wrap=True, highlight=False)
    if report.without_position:
        named = ", ".join(map(str, report.without_position[:_NAMED])) + " …" * (len(report.without_position) > _NAMED)
        err.print(f"The group has no position in {named}: they were not compared.", markup=False, soft_wrap=True)
    for place, why in list(report.incomplete.items())[:5]:
        err.print(f"{place} does not hold everything that was written to it: {why}.", markup=False, highlight=False)
    complain_of(report.obstacles)
    _conclude(report, list(_advice(report, unlogged_ok=unlogged_ok, letters_ok=letters_ok)))


def _conclude(report: Report, advice: list[str]) -> None:
    """Say what to do, or that nothing is to be done, or that this is not known."""
    for sentence in advice:
        err.print(sentence, soft_wrap=True, markup=False, highlight=False)
    if report.obstacles and not advice:
        err.print("Nothing that was read proves a row wrong. Whether all are right is not known.", soft_wrap=True)
    elif not advice:
        out.print("[green]✓[/] Every row that is in the log agrees with an independent calculation.", soft_wrap=True)


def _by_cause(report: Report) -> Iterator[dict[str, Any]]:
    """A line for each cause, the most frequent first, with the ids of a few rows."""
    for cause, count in report.causes.most_common(_SHOWN_CAUSES):
        columns = ", ".join(cause.columns) or "–"
        named = [finding.row_id for finding in report.first_of(cause, _NAMED_OF_A_CAUSE)]
        examples = ", ".join(named) + " …" * (count > len(named))
        yield {"what": cause.kind, "table": cause.table, "columns": columns, "rows": count, "such_as": examples}


def _advice(report: Report, *, unlogged_ok: bool, letters_ok: bool) -> Iterator[str]:
    """What mends each kind of finding that counts as wrong."""
    found = report.found
    if found["differs"] or found["missing"]:
        yield (
            "`reelsync rebuild` repairs what differs or is missing; with --dry-run it says which rows it would change. "
            'Before it, see "Are the rows right?" in docs/runbook.md.'
        )
    if found["unlogged"] and report.explains_all and not unlogged_ok:
        yield (
            "`reelsync rebuild` keeps rows that are not in the log. If a service wrote them, let it publish their "
            "events, or accept them with --unlogged-ok. If nobody should have, `reelsync rebuild --accept-loss "
            "--dry-run` counts the rows that it would make as the log has them, or remove."
        )
    if found["no_letter"] and not letters_ok:
        yield (
            "A missing dead letter was deleted (then --deleted-letters-ok accepts that), or never parked: a replay "
            "parks it, `reelsync offsets reset TOPIC PARTITION --to OFFSET`, with the place that is shown."
        )


def _unlogged(report: Report) -> str:
    if report.obstacles:
        return "rows cannot be verified: their events may be among those that were not read, or services wrote them"
    if report.incomplete:
        return "rows cannot be verified: their events are older than the log, or services wrote them themselves"
    return "rows hold data that is not in the log: from a service, or changed by hand (--unlogged-ok accepts them)"
