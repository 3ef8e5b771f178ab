"""`reelsync dlq`."""

from base64 import b64encode
from typing import Annotated, Any

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from consumer.app import engine_of
from consumer.database_errors import explained
from consumer.errors import ReelsyncError
from consumer.settings import Settings
from models import DeadLetter

from .terminal import JsonOption, UsageError, load, out, print_json, print_rows, run_async

app = typer.Typer(help="Dead letters: records that could not be applied as they are.", no_args_is_help=True)

_LISTED = ("topic", "partition", "offset", "stage", "reason", "event_type", "aggregate_id", "attempts", "state")
_ADVICE = {
    "too_large": "Have the publisher send less, or raise REELSYNC_KAFKA__MAX_VALUE_BYTES.",
    "bad_tombstone": "A tombstone has a null value, no ce_ headers, and the id as its key, on a user or video topic.",
    "not_json": "The value is not JSON: look at the publisher's serializer.",
    "not_an_event": "The value is no CloudEvent: it must be an object with a type.",
    "unknown_type": "No such event type: the publisher is newer than this consumer, or mistaken.",
    "unknown_schema": "The dataschema is not known here: deploy a consumer that knows it.",
    "invalid": "Mend the fields named under problems, and publish the event again.",
    "conflict": "Two live users have one name. It is tried again by itself; if it stays, rename one of them.",
    "refused": "The database refused it although it is valid: please report it.",
}


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only letters with this reason.")] = None,
    state: Annotated[str, typer.Option(help="parked, redriven, discarded or all.")] = "parked",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """List dead letters, the latest first.

    Example: reelsync dlq list --reason invalid --limit 10
    """
    settings = load(Settings)
    table = DeadLetter.__table__
    query = select(*(table.c[name] for name in (*_LISTED, "first_seen_at", "last_attempt_at")))
    query = query.where(table.c.consumer_group == settings.kafka.group_id)
    if reason:
        query = query.where(table.c.reason == reason)
    if state != "all":
        query = query.where(table.c.state == state)
    rows = run_async(_read(settings, query.order_by(table.c.last_attempt_at.desc()).limit(limit)))
    if json:
        print_json(rows)
    elif rows:
        print_rows(f"Dead letters of group {settings.kafka.group_id}", _LISTED, rows)
    else:
        out.print("No dead letters.")


@app.command()
def show(
    letter: Annotated[str, typer.Argument(help="Where it stands: TOPIC/PARTITION/OFFSET.")],
    json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Show a dead letter whole: what is wrong with it, what to do, and the record as it was received.

    Example: reelsync dlq show video-events/3/1042
    """
    settings = load(Settings)
    topic, partition, offset = _place(letter)
    table = DeadLetter.__table__
    query = select(table).where(
        table.c.consumer_group == settings.kafka.group_id,
        table.c.topic == topic,
        table.c.partition == partition,
        table.c.offset == offset,
    )
    rows = run_async(_read(settings, query))
    if not rows:
        raise ReelsyncError(f"there is no dead letter at {letter}: see `reelsync dlq list --state all`")
    for row in rows:
        row["advice"] = _ADVICE.get(row["reason"], "")
        row["erased"] = row["key"] is None and row["value"] is None and row["headers"] is None
    if json:
        print_json([_with_bytes_as_base64(row) for row in rows])
        return
    for row in rows:
        for name, value in row.items():
            out.print(f"[bold]{name.replace('_', ' ')}[/]:", end=" ")
            out.print(_shown(value), markup=False, highlight=False, soft_wrap=True)


def _with_bytes_as_base64(row: dict[str, Any]) -> dict[str, Any]:
    """The letter for machines: text for reading, and base64 that gives every byte back."""
    headers = [
        {"name": name.decode(errors="replace"), "value": _text(content), "value_base64": _base64(content)}
        for name, content in row["headers"] or ()
    ]
    encoded = {f"{field}_base64": _base64(row[field]) for field in ("key", "value")}
    return row | {"key": _text(row["key"]), "value": _text(row["value"]), "headers": headers} | encoded


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def _place(letter: str) -> tuple[str, int, int]:
    topic, _, rest = letter.partition("/")
    partition, _, offset = rest.partition("/")
    if not topic or not partition.isdecimal() or not offset.isdecimal():
        raise UsageError(f"a dead letter is named TOPIC/PARTITION/OFFSET, such as video-events/3/1042, not {letter!r}")
    return topic, int(partition), int(offset)


async def _read(settings: Settings, query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a select
    engine = engine_of(settings.database)

    async def rows(connection: AsyncConnection) -> list[dict[str, Any]]:
        found = await connection.execute(query, execution_options={"query_name": "dead_letters.read"})
        return [dict(row) for row in found.mappings()]

    try:
        with explained(settings.database):
            async with engine.connect() as connection:
                return await rows(connection)
    finally:
        await engine.dispose()


def _shown(value: object) -> str:
    """Bytes as text with what cannot be shown escaped, so that a payload cannot speak to the terminal."""
    if isinstance(value, bytes):
        text = value.decode(errors="backslashreplace")
        return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    if isinstance(value, list):
        return ", ".join(f"{_shown(name)}={_shown(content)}" for name, content in value) or "none"
    return "–" if value is None else str(value)
