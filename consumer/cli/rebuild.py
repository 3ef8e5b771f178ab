"""`reelsync rebuild`."""

from functools import partial
from pathlib import Path
from typing import Any

from reelsync.consumer.dead_letters.name_conflicts import redrive_conflicts
from reelsync.consumer.kafka.diagnosis import diagnosed
from reelsync.consumer.operations.rebuild import shadow_tables
from reelsync.consumer.operations.rebuild.rebuild import Rebuild, Rebuilt, total
from reelsync.consumer.operations.rebuild.rebuild import discard as discard_shadow
from reelsync.consumer.operations.rebuild.replay import Filling
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import patient_engine_of
from reelsync.consumer.preflight import check_schema, check_session
from reelsync.consumer.runner import tune_garbage_collector
from reelsync.consumer.settings import Settings
from reelsync.consumer.status.summary import package_version
from reelsync.consumer.transform.decode import decoder

from .logs import log_to_read
from .progress import counted
from .terminal import (
    UsageError,
    confirm,
    err,
    load,
    plural,
    print_json,
    print_rows,
    run_async,
)

_COLUMNS = ("table", "rows", "added", "changed", "removed", "kept")
_SHOWN = 20


def rebuild(
    archive: Path | None, *, dry_run: bool, accept_loss: bool, restart: bool, discard: bool, yes: bool, json: bool
) -> None:
    """Carry out the command."""
    if discard and (dry_run or accept_loss or restart or archive):
        raise UsageError("--discard cannot be combined with other options")
    settings = load(Settings)
    if discard:
        _discard(settings, json=json)
        return
    tune_garbage_collector()
    if accept_loss and not (dry_run or yes):
        _confirm_loss(run_async(run_rebuild(settings, exactly=True, apply=False, restart=restart, archive=archive)))
        restart = False  # The shadow tables are new.
    result = run_async(run_rebuild(settings, exactly=accept_loss, apply=not dry_run, restart=restart, archive=archive))
    _print(result, applied=not dry_run, json=json)


def _confirm_loss(planned: Rebuilt) -> None:
    """Ask before rows are removed, or made older, because their data is not in the log."""
    removed, changed = (sum(getattr(part, what) for part in planned.tables) for what in ("removed", "changed"))
    if removed or changed:
        confirm(f"{plural(removed, 'row')} will be removed and {plural(changed, 'row')} changed", yes=False)


async def run_rebuild(
    settings: Settings,
    *,
    exactly: bool = False,
    apply: bool = True,
    restart: bool = False,
    archive: Path | None = None,
) -> Rebuilt:
    """Rebuild.

    Raises:
        ReelsyncError: a server cannot be used, another rebuild is running, or there is nothing to rebuild from.
    """
    revision = await check_schema(settings.database)
    await check_session(settings.database, "rebuild")
    kafka = settings.kafka
    log, cluster_id, topics = await log_to_read(settings, archive)
    engine = patient_engine_of(settings.database)
    shadow_engine = patient_engine_of(settings.database, shadow_tables.SCHEMA)
    decode = decoder(kafka.topics, kafka.max_value_bytes)
    redrive = partial(redrive_conflicts, shadow_engine, kafka.group_id, decode=decode)
    filling = Filling(log, shadow_engine, decode, kafka.group_id, cluster_id, redrive, settings.batch)
    try:
        with explained(settings.database), counted("Replaying") as bar:
            filling.progress = bar
            async with diagnosed(kafka):
                return await Rebuild(
                    engine,
                    filling,
                    revision,
                    topics,
                    _decoding(settings),
                    exactly=exactly,
                    apply=apply,
                    restart=restart,
                    expect=bar.expect,
                ).run()
    finally:
        await shadow_engine.dispose()
        await engine.dispose()


def _discard(settings: Settings, *, json: bool) -> None:
    run_async(_drop_shadow_tables(settings))
    if json:
        print_json({"discarded": True})
    else:
        err.print("The shadow tables are gone.")


async def _drop_shadow_tables(settings: Settings) -> None:
    engine = patient_engine_of(settings.database)
    try:
        with explained(settings.database):
            await discard_shadow(engine)
    finally:
        await engine.dispose()


def _decoding(settings: Settings) -> dict[str, Any]:
    read = settings.kafka.model_dump(mode="json", include={"topics", "max_value_bytes"})
    return {"version": package_version(), "video_states": settings.batch.video_states, **read}


def as_json_document(result: Rebuilt, *, applied: bool) -> dict[str, Any]:
    """The result as a JSON document."""
    return {
        "applied": applied,
        "resumed": result.resumed,
        "records": result.records,
        "dead_letters": result.dead_letters,
        "parked_again": result.parked_again,
        "tables": [
            {
                **{name: getattr(part, name) for name in (*_COLUMNS, "columns")},
                "sample": [{"what": what, "id": row_id, "columns": list(names)} for what, row_id, names in part.sample],
            }
            for part in result.tables
        ],
    }


def _print(result: Rebuilt, *, applied: bool, json: bool) -> None:
    if json:
        print_json(as_json_document(result, applied=applied))
        return
    if result.resumed:
        err.print("Continued an earlier run with its shadow tables; --restart makes new ones.")
    print_rows(f"{result.records:,} records replayed", _COLUMNS, [part._asdict() for part in result.tables])
    sample = [
        {"what": what, "table": part.table, "id": row_id, "columns": ", ".join(names)}
        for part in result.tables
        for what, row_id, names in part.sample
    ]
    if sample:
        print_rows("Some of them", tuple(sample[0]), sample[:_SHOWN])
    kept = sum(part.kept for part in result.tables)
    if kept:
        err.print(
            f"{kept:,} rows hold data that is not in the log, and keep it. To see how many of them --accept-loss would "
            "delete: reelsync rebuild --accept-loss --dry-run",
            soft_wrap=True,
        )
    if result.parked_again:
        err.print(
            f"{result.parked_again:,} letters that were corrected by hand {'are' if applied else 'would be'} parked "
            "again: `reelsync dlq redrive --corrected` applies them.",
            soft_wrap=True,
        )
    count = total(result.tables)
    if applied:
        err.print(f"{count:,} rows were replaced." if count else "Every row already agreed with the log.")
    else:
        err.print(f"{count:,} rows would be replaced. Nothing was changed; the shadow tables stay for the next run.")
