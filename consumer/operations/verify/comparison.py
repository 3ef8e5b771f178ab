"""Comparing one row of the database with the row that the oracle expects, column by column. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .changes import ERASED, FACETS, Change, Row
from .reference import STATES, Oracle


class Difference(NamedTuple):
    """The columns in which a row differs from the expected one.

    `wrong`: the log gives another value. `unlogged`: the row has a higher version, or an earlier creation, than any
    event read so far explains. A service wrote it itself, or it comes from a record that is no longer in the log, or
    from a record above the group's position.
    """

    wrong: tuple[str, ...]
    unlogged: tuple[str, ...]


def compare_row(oracle: Oracle, table: str, row_id: str, held: Row) -> Difference:
    """How the row `held` in the database differs from the expected row."""
    expected = oracle.row(table, row_id)
    if expected is None:
        return Difference((), ("version",) if "version" in held else ("id",))
    if expected.items() <= held.items():
        return Difference((), ())
    if table == "model_usage":
        facts = [oracle.anonymous(fact) for fact in oracle.facts[row_id]]
        same = any(not _differing(fact, held, fact) for fact in facts)
        return Difference(() if same else _differing(expected, held, expected), ())
    if table == STATES:
        same = any(not _differing(state, held, state) for state in oracle.states(*row_id.split("/")))
        differing = () if same else _differing(expected, held, expected)
        return Difference((), differing) if held["at"] < expected["at"] else Difference(differing, ())
    if expected == {"version": 0}:
        return Difference((), ("version",) if held["version"] else ())
    changes = oracle.changes[table].get(row_id, [])
    wrong: list[str] = []
    unlogged: list[str] = []
    for facet in FACETS[table]:
        _compare_facet(table, facet, expected, held, changes, wrong, unlogged)
    _compare_row_version(table, expected, held, changes, wrong, unlogged)
    if table == "videos" and not _owners(expected) <= _owners(held) and held["version"] < ERASED:
        wrong.append("former_owners")
    if held["created_at"] != expected["created_at"]:
        (unlogged if held["created_at"] < expected["created_at"] else wrong).append("created_at")
    return Difference(tuple(dict.fromkeys(wrong)), tuple(dict.fromkeys(unlogged)))


def certainly_wrong(table: str, expected: Row, held: Row, wrong: Iterable[str]) -> tuple[str, ...]:
    """The wrong columns that no event outside the log can explain.

    One more event can only raise a version or lower `created_at`. So a column is certainly wrong if the version of its
    facet is lower than the log's, or if the row is erased, which no event changes any more.
    """
    if table in {"model_usage", STATES}:
        return ()
    certain = {"created_at"}
    version = "profile_version" if table == "user_profiles" else "version"
    parts = [(version, ("updated_at", "user_id")), *((f"{facet}_version", of) for facet, of in FACETS[table].items())]
    for name, columns in parts:
        if held[name] < expected[name] or expected[name] >= ERASED:
            certain |= {name, *columns}
    return tuple(column for column in wrong if column in certain)


def is_accounted_for(oracle: Oracle, table: str, row_id: str, held: Row, unlogged: Sequence[str]) -> bool:
    """Whether the events that were added to `oracle` explain each column that was unlogged."""
    if table == STATES:
        return compare_row(oracle, table, row_id, held) == Difference((), ())
    expected = oracle.row(table, row_id)
    if expected is None or expected == {"version": 0}:
        return expected is not None and held["version"] == 0
    changes = oracle.changes.get(table, {}).get(row_id, [])
    for facet, columns in FACETS.get(table, {}).items():
        version = f"{facet}_version"
        if version in unlogged and not _is_set_by_one(changes, facet, held[version], {c: held[c] for c in columns}):
            return False
    if "version" in unlogged and not any(change.version == held["version"] for change in changes):
        return False
    created = {time for change in changes for time in (change.time, change.row_created_at)}
    return "created_at" not in unlogged or held["created_at"] in created


def _compare_facet(  # noqa: PLR0913, PLR0917 - two lists to fill
    table: str,
    facet: str,
    expected: Row,
    held: Row,
    changes: Iterable[Change],
    wrong: list[str],
    unlogged: list[str],
) -> None:
    version = f"{facet}_version"
    differing = _differing(expected, held, FACETS[table][facet])
    if held[version] == expected[version]:
        # Two events with one version break the publisher's contract; whichever was first stands.
        columns = {column: held[column] for column in FACETS[table][facet]}
        if differing and not _is_set_by_one(changes, facet, held[version], columns):
            wrong += differing
    else:
        (unlogged if held[version] > expected[version] else wrong).extend((version, *differing))


def _compare_row_version(  # noqa: PLR0913, PLR0917 - likewise
    table: str,
    expected: Row,
    held: Row,
    changes: Iterable[Change],
    wrong: list[str],
    unlogged: list[str],
) -> None:
    version = "profile_version" if table == "user_profiles" else "version"
    if held[version] > expected[version]:
        unlogged.append(version)
        return
    following = [version, "updated_at"]
    owners = {change.owner for change in changes if change.version == held[version]}
    if table == "videos" and (str(held["user_id"]) if held["user_id"] else None) not in owners:
        following.append("user_id")
    wrong += _differing(expected, held, following)


def _owners(row: Row) -> set[Any]:
    return {row["user_id"], *(row["former_owners"] or ())}


def _is_set_by_one(changes: Iterable[Change], facet: str, version: int, columns: Row) -> bool:
    return any(
        change.version == version and facet in change.facets and not _differing(change.facets[facet], columns, columns)
        for change in changes
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
