"""`reelsync schema`."""

from pathlib import Path

import typer
from rich.markup import escape

from reelsync.consumer.errors import ReelsyncError
from reelsync.events.contract_files import CONTRACT_VERSION, export_contract
from reelsync.events.evolution import Compatibility, Contract, UnreadableContractError, Verdict, compare, read_contract

from .options import Requirement
from .terminal import UsageError, err, out, print_json

_LEVELS: dict[Requirement, Verdict] = {"none": "NONE", "backward": "BACKWARD", "forward": "FORWARD", "full": "FULL"}


def export(directory: Path, *, json: bool) -> None:
    """Carry out the command."""
    try:
        files = export_contract(directory)
    except OSError as error:
        raise ReelsyncError(f"{directory} cannot be written: {error.strerror}") from None
    if json:
        print_json({"version": CONTRACT_VERSION, "directory": str(directory), "files": files})
    else:
        err.print(f"Wrote the contract of version {CONTRACT_VERSION}: {len(files)} files in {escape(str(directory))}.")


def check(old: Path, new: Path, require: Requirement, *, json: bool) -> None:
    """Carry out the command."""
    results = compare(*_both(old, new))
    failed = [result for result in results if not result.satisfies(_LEVELS[require])]
    if json:
        print_json(
            {
                "required": _LEVELS[require],
                "satisfied": not failed,
                "types": [_as_json(result) for result in results],
            }
        )
    else:
        for result in results:
            _print(result, ok=result not in failed, fallback=new.name)
        out.print(
            f"{len(results) - len(failed)} of {len(results)} are at least {_LEVELS[require]}",
            highlight=False,
            style="dim",
        )
    if failed:
        raise typer.Exit(1)


def _both(old: Path, new: Path) -> tuple[Contract, Contract]:
    for path in (old, new):
        if not path.exists():
            raise UsageError(f"{path} does not exist: name a directory of schemas, or one schema")
    if old.is_file() != new.is_file():
        raise UsageError("compare a directory with a directory, or a schema with a schema")
    try:
        return read_contract(old), read_contract(new)
    except UnreadableContractError as error:
        raise UsageError(str(error)) from None


def _as_json(result: Compatibility) -> dict[str, object]:
    return {
        "type": result.type,
        "verdict": result.verdict,
        "breaks": [found._asdict() for found in result.breaks],
    }


def _print(result: Compatibility, *, ok: bool, fallback: str) -> None:
    mark = "[green]✓[/]" if ok else "[red]✗[/]"
    out.print(mark, escape(f"{result.type or fallback}: {result.verdict}"), highlight=False)
    for found in result.breaks:
        out.print(escape(f"    not {found.direction}: {found.sentence}"), highlight=False, soft_wrap=True)
