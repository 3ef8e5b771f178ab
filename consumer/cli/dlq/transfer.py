"""`reelsync dlq export` and `dlq import`."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import typer

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import (
    UsageError,
    complain,
    err,
    load,
    plural,
    print_json,
    run_async,
    write_out,
)
from reelsync.consumer.dead_letters.corrections import Corrections, correct
from reelsync.consumer.dead_letters.jsonl import bounded_lines, line_of
from reelsync.consumer.dead_letters.queries import all_letters
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import Entry
from reelsync.consumer.escaping import json_bytes
from reelsync.consumer.settings import Settings
from reelsync.consumer.transform.decode import decoder

from .options import Filters
from .selection import count_letters, letters_engine

_SHOWN_PROBLEMS = 20


def export(filters: Filters, *, corrected: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    selection = filters.selection(corrected=corrected)
    written = run_async(_export(settings, selection))
    err.print(f"{plural(written, 'letter')} exported.")


def import_lines(file: str, because: str | None, by: str | None, *, dry_run: bool, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    with _opened(file) as source:
        done = run_async(_import(settings, bounded_lines(source), Entry(because, by), dry_run=dry_run))
    stored = not done.problems and not dry_run
    if json:
        print_json(
            {
                "stored": stored,
                "corrected": done.corrected,
                "withdrawn": done.withdrawn,
                "unchanged": done.unchanged,
                "problems": done.problems,
            }
        )
    else:
        _print(done, stored=stored)
    if done.problems:
        raise typer.Exit(1)


async def _export(settings: Settings, selection: Selection) -> int:
    group = settings.kafka.group_id
    written = 0
    async with letters_engine(settings) as engine:
        total = await count_letters(engine, group, selection)
        with counted("Exporting", total, beside_output=True) as bar:
            async with engine.connect() as connection:
                async for letters in all_letters(connection, group, selection):
                    whole = [line_of(group, letter) for letter in letters if not letter.is_blank]
                    write_out(b"".join(json_bytes(line) + b"\n" for line in whole))
                    written += len(whole)
                    bar.reach(written)
    sys.stdout.flush()
    return written


async def _import(settings: Settings, lines: Iterator[bytes], entry: Entry, *, dry_run: bool) -> Corrections:
    decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
    async with letters_engine(settings) as engine:
        with err.status("Checking the lines…"):
            return await correct(engine, settings.kafka.group_id, lines, decode, entry, dry_run=dry_run)


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def _print(done: Corrections, *, stored: bool) -> None:
    counted = f"{done.corrected:,} corrected, {done.withdrawn:,} corrections withdrawn, {done.unchanged:,} unchanged"
    err.print(f"{counted}." if stored else f"Nothing was stored. It would be: {counted}.")
    for problem in done.problems[:_SHOWN_PROBLEMS]:
        complain(problem)
    if len(done.problems) > _SHOWN_PROBLEMS:
        complain(f"and {len(done.problems) - _SHOWN_PROBLEMS:,} more lines (all with --json)")
    if stored and done.corrected:
        err.print("Apply them with: reelsync dlq redrive --corrected")
