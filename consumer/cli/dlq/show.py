"""`reelsync dlq list` and `dlq show`."""

from base64 import b64encode
from typing import Any

import orjson
from rich.text import Text
from sqlalchemy import RowMapping

from reelsync.consumer.cli.progress import counted
from reelsync.consumer.cli.terminal import (
    UsageError,
    err,
    load,
    out,
    print_json,
    print_json_rows,
    print_rows,
    run_async,
)
from reelsync.consumer.dead_letters import queries
from reelsync.consumer.dead_letters.advice import ADVICE, problem_lines
from reelsync.consumer.dead_letters.selection import Selection
from reelsync.consumer.dead_letters.table import KEY_NAMES, LetterKey, corrected_record, received_record
from reelsync.consumer.errors import ReelsyncError
from reelsync.consumer.escaping import printable
from reelsync.consumer.settings import Settings
from reelsync.consumer.transform.decode import Decode, Rejection, decoder

from .options import Filters
from .selection import STATES, letters_engine, place_of

_LISTED = ("place", "reason", "event_type", "aggregate_id", "attempts", "state", "last_attempt_at", "problem")
_COUNTED = ("reason", "path", "event_type", "topic", "letters", "oldest")
_PAYLOAD = ("key", "value", "headers", "corrected_key", "corrected_value", "corrected_headers")


def list_letters(filters: Filters, state: str, limit: int, *, corrected: bool, counts: bool, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    if state not in {*STATES, "all"}:
        raise UsageError(f"--state must be {', '.join(STATES)} or all, not {state!r}")
    states = () if state == "all" else (state,)
    selection = filters.selection(corrected=corrected, states=states)
    if counts:
        _print_counts(settings, run_async(_counts(settings, selection)), json=json)
        return
    run_async(_print_latest(settings, selection, limit, json=json))


def show(letter: str, *, json: bool) -> None:
    """Carry out the command."""
    settings = load(Settings)
    rows = run_async(_whole(settings, Selection(place=place_of(letter), states=())))
    if not rows:
        raise ReelsyncError(f"there is no dead letter at {letter}: see `reelsync dlq list --state all`")
    decode = decoder(settings.kafka.topics, settings.kafka.max_value_bytes)
    if json:
        print_json([_document(row, decode) for row in rows])
        return
    for row in rows:
        _print_letter(row, decode)


async def _counts(settings: Settings, selection: Selection) -> list[dict[str, Any]]:
    async with letters_engine(settings) as engine, engine.connect() as connection:
        with err.status("Counting the letters…"):
            return await queries.counts(connection, settings.kafka.group_id, selection)


async def _print_latest(settings: Settings, selection: Selection, limit: int, *, json: bool) -> None:
    """Print the letters page by page, so that there may be more of them than memory holds."""
    group = settings.kafka.group_id
    async with letters_engine(settings, patient=True) as engine, engine.connect() as connection:
        pages = queries.latest(connection, group, selection, limit if json else limit + 1)
        if json:
            with counted("Listing", limit, beside_output=True) as bar:
                await print_json_rows(pages, bar)
            return
        shown = 0
        async for rows in pages:
            if shown < limit:
                title = None if shown else f"Dead letters of group {group}"
                print_rows(title, _LISTED, map(_listed, rows[: limit - shown]))
            shown += len(rows)
    if shown > limit:
        err.print(f"These are the latest {limit:,}; there are more: see --limit and --count.")
    elif not shown:
        out.print("No dead letters.")


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    problems = problem_lines(row["detail"])
    more = f", and {len(problems) - 1} more" * (len(problems) > 1)
    return row | {"place": _place(row), "problem": problems[0] + more if problems else None}


async def _whole(settings: Settings, selection: Selection) -> list[RowMapping]:
    async with letters_engine(settings) as engine, engine.connect() as connection:
        return await queries.whole(connection, settings.kafka.group_id, selection)


def _print_counts(settings: Settings, rows: list[dict[str, Any]], *, json: bool) -> None:
    total = sum(row["letters"] for row in rows)
    if json:
        print_json({"letters": total, "groups": rows})
    elif rows:
        print_rows(f"{total:,} dead letters of group {settings.kafka.group_id}", _COUNTED, rows)
    else:
        out.print("No dead letters.")


def _now(row: RowMapping, decode: Decode) -> list[str] | None:
    """What this version finds wrong with the record to apply: nothing if it is valid, None if the letter is blank."""
    if row["headers"] is None:
        return None
    key = LetterKey(*(row[name] for name in KEY_NAMES))
    verdict = decode(corrected_record(key, row) or received_record(key, row))
    return problem_lines(verdict.detail) if isinstance(verdict, Rejection) else []


def _place(row: RowMapping | dict[str, Any]) -> str:
    return f"{row['topic']}/{row['partition']}/{row['offset']}"


def _next_step(row: RowMapping, wrong: list[str] | None) -> str:
    if wrong is None:
        return "The record is no longer stored: its aggregate was erased, or its retention is over."
    if row["state"] == "discarded":
        return "It was discarded: `reelsync dlq restore` parks it again."
    if row["state"] == "parked" and not wrong and row["stage"] != "write":
        return f"It is valid for this version of reelsync: reelsync dlq redrive {_place(row)}"
    return ADVICE.get(row["reason"], "")


def _document(row: RowMapping, decode: Decode) -> dict[str, Any]:
    """The letter as a JSON document, with its bytes as readable text and as lossless base64."""
    wrong = _now(row, decode)
    shown = {name: value for name, value in row.items() if name not in _PAYLOAD}
    document = shown | as_json(row["key"], row["value"], row["headers"]) | {"decoded": decoded(row["value"])}
    correction = as_json(row["corrected_key"], row["corrected_value"], row["corrected_headers"])
    return document | {
        "correction": correction if row["corrected_headers"] is not None else None,
        "problems_now": wrong,
        "advice": _next_step(row, wrong),
        "erased": row["headers"] is None,
    }


def _print_letter(row: RowMapping, decode: Decode) -> None:
    wrong = _now(row, decode)
    for name, value in row.items():
        if name not in {*_PAYLOAD, "detail", "audit"} and value is not None:
            _print_field(name, str(value))
    for entry in row["audit"]:
        because = f": {entry['because']}" if entry["because"] else ""
        _print_field(entry["action"], f"{entry['at']} by {entry['by']}{because}")
    for line in problem_lines(row["detail"]):
        _print_field("problem", line)
    _print_field("advice", _next_step(row, wrong))
    _print_record("", row["key"], row["headers"], row["value"])
    if row["corrected_headers"] is not None:
        _print_record("corrected ", row["corrected_key"], row["corrected_headers"], row["corrected_value"])
        for line in wrong or ():
            _print_field("problem of the correction", line)


def _print_record(which: str, key: bytes | None, headers: list[list[bytes | None]] | None, value: bytes | None) -> None:
    _print_field(f"{which}key", escaped(key))
    shown = (f"{escaped(name)}={escaped(content)}" for name, content in headers or ())
    _print_field(f"{which}headers", ", ".join(shown) or "none")
    _print_field(f"{which}value", escaped(value))
    readable = decoded(value)
    if readable is not None:
        _print_field(f"{which}value, decoded", "")
        for line in as_lines(readable):
            out.print(Text(printable(line)), soft_wrap=True)


def _print_field(name: str, value: str) -> None:
    out.print(Text.assemble((f"{name.replace('_', ' ')}:", "bold"), " ", printable(value)), soft_wrap=True)


def escaped(content: bytes | None) -> str:
    """Bytes as text in which control characters are escaped, so that a payload cannot change the terminal."""
    return "–" if content is None else printable(content.decode(errors="backslashreplace"))


def decoded(value: bytes | None) -> Any:
    """The JSON document in a value; None if it is not JSON, or nested too deeply to show."""
    try:
        found = None if value is None else orjson.loads(value)
        orjson.dumps(found)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return found


def as_lines(document: Any) -> list[str]:
    """A JSON document, indented."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode().split("\n")


def as_json(key: bytes | None, value: bytes | None, headers: list[list[bytes | None]] | None) -> dict[str, Any]:
    """A record as readable text and as lossless base64."""
    listed = [
        {"name": _text(name), "value": _text(content), "value_base64": _base64(content)}
        for name, content in headers or ()
    ]
    encoded = {"key_base64": _base64(key), "value_base64": _base64(value)}
    return {"key": _text(key), "value": _text(value), "headers": listed, **encoded}


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")
