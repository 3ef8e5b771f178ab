"""Whether one row is what the oracle says, column by column, and of which columns no record tells. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .reference import ERASED, FACETS, Oracle, Row, Statement


class Judgement(NamedTuple):
    """The columns of a row that are wrong, and those that are newer than all that the log tells of them.

    Wrong: the log has it otherwise. Unlogged: a higher version than any record's, or an earlier first event; written by
    a service itself, merged from a record that is no longer in the log, or from one that the group has not come to.
    """

    wrong: tuple[str, ...]
    unlogged: tuple[str, ...]


def judge(oracle: Oracle, table: str, row_id: str, held: Row) -> Judgement:
    """What is to be said of a row that is there."""
    expected = oracle.row(table, row_id)
    if expected is None:
        return Judgement((), ("version",) if "version" in held else ("id",))
    if table == "model_usage":
        facts = oracle.facts[row_id]
        same = any(not _differing(fact, held, fact) for fact in facts)
        return Judgement(() if same else _differing(expected, held, expected), ())
    if expected == {"version": 0}:
        return Judgement((), ("version",) if held["version"] else ())
    statements = oracle.statements[table].get(row_id, [])
    wrong: list[str] = []
    unlogged: list[str] = []
    for facet in FACETS[table]:
        _judge_facet(table, facet, expected, held, statements, wrong, unlogged)
    _judge_what_follows_the_version(table, expected, held, statements, wrong, unlogged)
    if held["created_at"] != expected["created_at"]:
        (unlogged if held["created_at"] < expected["created_at"] else wrong).append("created_at")
    return Judgement(tuple(dict.fromkeys(wrong)), tuple(dict.fromkeys(unlogged)))


def inexcusable(table: str, expected: Row, held: Row, wrong: Iterable[str]) -> tuple[str, ...]:
    """Of the wrong columns, those that are so whatever else was applied: an event more raises versions, or is late.

    So they are of facets with a version below that of the log, or of an erased row, which nothing changes.
    """
    if table == "model_usage":
        return ()
    surely = {"created_at"}
    version = "profile_version" if table == "user_profiles" else "version"
    parts = [(version, ("updated_at", "user_id")), *((f"{facet}_version", of) for facet, of in FACETS[table].items())]
    for name, columns in parts:
        if held[name] < expected[name] or expected[name] >= ERASED:
            surely |= {name, *columns}
    return tuple(column for column in wrong if column in surely)


def is_told_of(oracle: Oracle, table: str, row_id: str, held: Row, unlogged: Sequence[str]) -> bool:
    """Whether events that `oracle` has heard by now account for the columns that were unlogged: one each is enough."""
    expected = oracle.row(table, row_id)
    if expected is None or expected == {"version": 0}:
        return expected is not None and held["version"] == 0
    statements = oracle.statements.get(table, {}).get(row_id, [])
    for facet, columns in FACETS.get(table, {}).items():
        version = f"{facet}_version"
        if version in unlogged and not _is_said(statements, facet, held[version], {c: held[c] for c in columns}):
            return False
    if "version" in unlogged and not any(said.version == held["version"] for said in statements):
        return False
    return "created_at" not in unlogged or any(held["created_at"] in {said.time, said.begun} for said in statements)


def _judge_facet(  # noqa: PLR0913, PLR0917 - two lists to fill
    table: str,
    facet: str,
    expected: Row,
    held: Row,
    statements: Iterable[Statement],
    wrong: list[str],
    unlogged: list[str],
) -> None:
    version = f"{facet}_version"
    differing = _differing(expected, held, FACETS[table][facet])
    if held[version] == expected[version]:
        # Two events with one version break the publisher's contract; whichever was first stands.
        columns = {column: held[column] for column in FACETS[table][facet]}
        if differing and not _is_said(statements, facet, held[version], columns):
            wrong += differing
    else:
        (unlogged if held[version] > expected[version] else wrong).extend((version, *differing))


def _judge_what_follows_the_version(  # noqa: PLR0913, PLR0917 - likewise
    table: str,
    expected: Row,
    held: Row,
    statements: Iterable[Statement],
    wrong: list[str],
    unlogged: list[str],
) -> None:
    version = "profile_version" if table == "user_profiles" else "version"
    if held[version] > expected[version]:
        unlogged.append(version)
        return
    following = [version, "updated_at"]
    owners = {said.owner for said in statements if said.version == held[version]}
    if table == "videos" and (str(held["user_id"]) if held["user_id"] else None) not in owners:
        following.append("user_id")
    wrong += _differing(expected, held, following)


def _is_said(statements: Iterable[Statement], facet: str, version: int, columns: Row) -> bool:
    return any(
        said.version == version and facet in said.facets and not _differing(said.facets[facet], columns, columns)
        for said in statements
    )


def _differing(expected: Row, held: Row, columns: Iterable[str]) -> tuple[str, ...]:
    return tuple(column for column in columns if not _is_same(expected[column], held[column]))


def _is_same(one: Any, other: Any) -> bool:
    return one == other or (isinstance(one, dict) and bool(_as_doubles(one) == _as_doubles(other)))


def _as_doubles(document: Any) -> Any:
    """JSON with its numbers as doubles: jsonb writes 1e23 as an integer, which Python takes for another number."""
    if isinstance(document, dict):
        return {name: _as_doubles(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_as_doubles(value) for value in document]
    is_number = isinstance(document, int | float) and not isinstance(document, bool)
    return float(document) if is_number else document
