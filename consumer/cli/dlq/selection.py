"""Which dead letters the values of the options select."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from reelsync.consumer.cli.terminal import UsageError, err
from reelsync.consumer.dead_letters import queries
from reelsync.consumer.dead_letters.selection import Place, Selection
from reelsync.consumer.postgres.diagnosis import explained
from reelsync.consumer.postgres.engine import engine_of, patient_engine_of
from reelsync.consumer.settings import Settings

from .options import REASONS

STATES = ("parked", "redriven", "discarded")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def selection_of(
    place: str | None = None,
    reason: list[str] | None = None,
    event_type: list[str] | None = None,
    topic: list[str] | None = None,
    aggregate: str | None = None,
    since: str | None = None,
    until: str | None = None,
    *,
    corrected: bool = False,
    untried: bool = False,
    after: str | None = None,
    states: tuple[str, ...] = ("parked",),
) -> Selection:
    """The letters that the options select.

    Raises:
        UsageError: an option has a value that it cannot have.
    """
    unknown = [name for name in reason or () if name not in REASONS]
    if unknown:
        raise UsageError(f"--reason must be one of {', '.join(REASONS)}, not {unknown[0]!r}")
    return Selection(
        place=place_of(place) if place else None,
        after=place_of(after) if after else None,
        reasons=tuple(reason or ()),
        event_types=tuple(event_type or ()),
        topics=tuple(topic or ()),
        aggregate=_aggregate(aggregate),
        since=_time("--since", since),
        until=_time("--until", until),
        corrected=corrected,
        untried=untried,
        states=states,
    )


def require_selection(selection: Selection, *, everything: bool) -> None:
    """Refuse to work on every letter unless --all was given.

    Raises:
        UsageError: --all is missing.
    """
    if selection.is_everything and not everything:
        raise UsageError(
            "no letters are selected: name one (TOPIC/PARTITION/OFFSET), select some (see --help), or use --all"
        )


def place_of(letter: str) -> Place:
    """The place that TOPIC/PARTITION/OFFSET names.

    Raises:
        UsageError: it does not have this form.
    """
    topic, _, rest = letter.partition("/")
    partition, _, offset = rest.partition("/")
    if not topic or not _is_number(partition, 2**31) or not _is_number(offset, 2**63):
        raise UsageError(f"a dead letter is named TOPIC/PARTITION/OFFSET, such as video-events/3/1042, not {letter!r}")
    return Place(topic, int(partition), int(offset))


def age_of(option: str, given: str) -> timedelta:
    """The duration that a word such as 90d, 2h or 30m means.

    Raises:
        UsageError: it does not have this form.
    """
    found = re.fullmatch(r"(\d{1,6})([smhdw])", given.strip())
    if not found:
        raise UsageError(f"{option} must be a duration such as 30m, 2h or 90d, not {given!r}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _is_number(word: str, limit: int) -> bool:
    return word.isascii() and word.isdecimal() and int(word) < limit


def _aggregate(given: str | None) -> UUID | None:
    try:
        return UUID(given) if given else None
    except ValueError:
        raise UsageError(f"--aggregate must be an id, a UUID, not {given!r}") from None


def _time(option: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    if re.fullmatch(r"\d+[a-z]", given.strip()):
        try:
            return datetime.now(UTC) - age_of(option, given)
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(given).astimezone(UTC)
    except (OverflowError, OSError, ValueError):
        wrong = f"{option} must be a time such as 2026-01-05T10:00:00Z, or a duration such as 2h, not {given!r}"
        raise UsageError(wrong) from None


@asynccontextmanager
async def letters_engine(settings: Settings, *, patient: bool = False) -> AsyncIterator[AsyncEngine]:
    """An engine for one command. A patient one has no short timeouts, for output that somebody reads page by page.

    Raises:
        ReelsyncError: the database cannot be used; the message says why.
    """
    engine = (patient_engine_of if patient else engine_of)(settings.database)
    try:
        with explained(settings.database):
            yield engine
    finally:
        await engine.dispose()


async def count_letters(engine: AsyncEngine, group: str, selection: Selection) -> int:
    """How many letters are selected."""
    async with engine.connect() as connection:
        with err.status("Counting the letters…"):
            return await queries.count(connection, group, selection)
