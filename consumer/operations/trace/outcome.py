"""What became of one record, from the group's position, its dead letter, and the versions in the rows. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from reelsync.consumer.records import Record
from reelsync.consumer.transform.decode import Rejection
from reelsync.consumer.transform.projections import targets_of
from reelsync.events import ERASED_VERSION, WireEvent, aggregate_id
from reelsync.models.facets import version_column

What = Literal["waiting", "dead_letter", "applied", "superseded", "erased", "not_applied", "no_letter", "unknown"]
UNKNOWN = -1
"""The position in a log that is not the one of the stored position."""
Versions = Mapping[tuple[str, str], Mapping[str, int]]
"""The version columns of each existing row, by table and id. A fact has none."""


class Fate(NamedTuple):
    """What became of a record, and a sentence for people, which contains none of its values."""

    what: What
    sentence: str


class Seen(NamedTuple):
    """A record that matches the search, and the verdict on it."""

    record: Record
    verdict: WireEvent | Rejection

    @property
    def place(self) -> str:
        """Where it stands: TOPIC/PARTITION/OFFSET."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    @property
    def version(self) -> int | None:
        """The version of its event; a fact has none."""
        return None if isinstance(self.verdict, Rejection) else self.verdict["data"].get("version")


def fate_of(  # noqa: PLR0913, PLR0917 - all that is known
    seen: Seen,
    position: int | None,
    letter: Mapping[str, Any] | None,
    rows: Versions,
    others: Iterable[Seen],
    erased: Collection[str] = (),
) -> Fate:
    """What became of the record `seen`.

    `letter` is its dead letter, `others` are the records that match as well, `erased` are people who were erased.
    """
    if letter is not None and letter["state"] != "redriven":
        return Fate("dead_letter", _letter_sentence(seen, letter))
    if waiting := _waiting(seen.record.offset, position):
        return waiting
    if isinstance(seen.verdict, Rejection):
        return _fate_of_rejected(seen.verdict, letter)
    if seen.verdict["type"] == "user.erased" or seen.verdict["data"].get("user_id") in erased:
        return _fate_of_person(seen.verdict, erased)
    fate = _fate_of_event(seen.verdict, rows)
    notes = ["redriven from the dead letters"] if letter else []
    notes += _sharing(seen, others)
    return fate._replace(sentence="; ".join((fate.sentence, *notes)))


def _waiting(offset: int, position: int | None) -> Fate | None:
    """Why the record was not consumed, or may not have been; None if it was."""
    if position is None:
        return Fate("waiting", "not yet consumed: the group has never been assigned its partition")
    if position == UNKNOWN:
        return Fate("unknown", "not known: the group's position is not of this log, and its partition is halted")
    if offset < position:
        return None
    before = f"with {offset - position:,} offsets to go before it"
    return Fate("waiting", f"not yet consumed: the group is at {position}, {before}")


def _fate_of_person(event: WireEvent, erased: Collection[str]) -> Fate:
    """What became of an event that names a person who is erased, or who should be."""
    if event["type"] != "user.erased":
        return Fate("erased", "its user was erased as a person, with all of their videos: nothing of it is kept")
    if event["data"]["user_id"] in erased:
        return Fate("applied", "applied: the person is erased, with all of their videos")
    return Fate("not_applied", f"{_NOT_APPLIED} (the person is not erased)")


def _fate_of_rejected(verdict: Rejection, letter: Mapping[str, Any] | None) -> Fate:
    if letter is None:
        return Fate("no_letter", f"no event ({verdict.reason}), consumed, and no dead letter: was it removed?")
    if letter["is_blank"] and not letter["was_corrected"]:
        return Fate("erased", "a dead letter, closed and blank: its aggregate was erased, or its retention is over")
    since = ", and since made blank" if letter["is_blank"] else ""
    return Fate("applied", f"a dead letter that was corrected by hand and redriven{since}")


class _Held(NamedTuple):
    """Facets of an event that are in the rows, that later events replaced, and that are missing."""

    stand: list[str]
    superseded: list[str]
    lacking: list[str]
    erased: bool


def _fate_of_event(event: WireEvent, rows: Versions) -> Fate:
    if event["type"] == "model_usage.recorded":
        is_there = ("model_usage", event["data"]["usage_id"]) in rows
        return Fate("applied", "applied: the fact is there") if is_there else Fate("not_applied", _NOT_APPLIED)
    held = _held(event, rows)
    superseded = ", ".join(held.superseded)
    if held.lacking:
        return Fate("not_applied", f"{_NOT_APPLIED} (lacking: {', '.join(held.lacking)})")
    if held.erased:
        return Fate("erased", "applied, and its aggregate was erased since, by a tombstone")
    if superseded and not held.stand:
        return Fate("superseded", f"applied, and superseded: {superseded}")
    also = f"; superseded: {superseded}" if superseded else ", and nothing newer"
    return Fate("applied", f"applied: {', '.join(held.stand) or 'nothing of its own'} in the row{also}")


def _held(event: WireEvent, rows: Versions) -> _Held:
    version = event["data"].get("version", 0)
    held = _Held([], [], [], erased=False)
    for target in targets_of(event):
        row = rows.get((target.table, event["data"][target.key]))
        if row is None:
            held.lacking.append(target.table)
            continue
        held = held._replace(erased=held.erased or row[_version_of(target.table)] >= ERASED_VERSION > version)
        for facet, _ in target.facets:
            found = row[version_column(facet)]
            if found > version:
                held.superseded.append(f"{facet} by version {found}")
            else:
                (held.stand if found == version else held.lacking).append(facet)
    return held


_NOT_APPLIED = (
    "below the group's position, and not in the rows: skipped by a reset past it or by START_FROM=latest, or the rows "
    "were changed: see `reelsync verify`"
)


def _version_of(table: str) -> str:
    return "profile_version" if table == "user_profiles" else "version"


def _letter_sentence(seen: Seen, letter: Mapping[str, Any]) -> str:
    problems: Sequence[Mapping[str, Any]] = letter["detail"].get("problems", ())
    why = "; ".join(f"{problem['path']}: {problem['message']}" for problem in problems[:3])
    constraint = letter["detail"].get("constraint")
    because = why or (f"constraint {constraint}" if constraint else "")
    state = f"dead letter, {letter['state']}, because {letter['reason']}{f' ({because})' * bool(because)}"
    return f"{state}: see `reelsync dlq show {seen.place}`"


def _sharing(seen: Seen, others: Iterable[Seen]) -> list[str]:
    """Other records with the same event, or with the same version of the aggregate."""
    notes = []
    for other in others:
        if other.place == seen.place or isinstance(other.verdict, Rejection) or isinstance(seen.verdict, Rejection):
            continue
        if (other.verdict["id"], other.verdict["source"]) == (seen.verdict["id"], seen.verdict["source"]):
            notes.append(f"the same event as {other.place}")
        elif _claim(other.verdict) == _claim(seen.verdict):
            notes.append(f"{other.place} is another event with its version: the one that was applied first stays")
    return notes[:5]


def _claim(event: WireEvent) -> tuple[str, object]:
    return aggregate_id(event), event["data"].get("version")
