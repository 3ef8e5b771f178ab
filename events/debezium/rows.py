"""A row of an upstream table, column by column, by the rules of the events' own fields, grouped into facets.

An event sets a facet whole, and so does a row: if it has any column of the facet, it must have those that the facet
needs. A column of the facet that the table does not have is NULL.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from pydantic_core import SchemaValidator, ValidationError

from ..codec import InvalidEventError, Problem
from ..fields import MAX_VERSION, Id
from ..wire import STRICT, typed_dict
from .columns import FACETS, rule_of, time_rule, whole
from .connect_json import as_time
from .topics import RowChangeTopic

Facets = dict[str, dict[str, Any]]

_WHOLE_ROW = "a removal carries the whole row only after ALTER TABLE … REPLICA IDENTITY FULL in the upstream database"
_NOT_LOGGED = "was not logged, because it is long and did not change: ALTER TABLE … REPLICA IDENTITY FULL upstream"
_NO_UNIT = "is a number, and nothing says in which unit: set time.precision.mode=isostring, or schemas.enable=true"
_NUMERIC = "if the column is numeric, set decimal.handling.mode=double, and values beyond 2^53 need bigint"

_TIMES = {"created_at", "last_login_at", "started_at", "completed_at", "failed_at", "deleted_at"}
_COLUMNS = {
    aggregate: ("created_at", *(column for columns in facets.values() for column in columns))
    for aggregate, facets in FACETS.items()
}
_VALIDATORS = {
    aggregate: {facet: SchemaValidator(typed_dict(columns), STRICT) for facet, columns in facets.items()}
    for aggregate, facets in FACETS.items()
}
_ID = SchemaValidator(rule_of(Id), STRICT)
_TIME = SchemaValidator(time_rule(), STRICT)


@dataclass(frozen=True)
class CapturedRow:
    """A row as Debezium wrote it, before or after a change. `types` has named types of columns, if schemas are on."""

    columns: Mapping[str, Any]
    topic: RowChangeTopic
    where: Literal["before", "after"]
    types: Mapping[str, str]

    def path(self, column: str) -> str:
        """The path in the record of the column that reelsync calls `column`."""
        return f"{self.where}.{self.topic.column_of_table(column)}"

    def carried(self) -> dict[str, Any]:
        """The columns that the table has, by reelsync's names, with times as times.

        Raises:
            InvalidEventError: PostgreSQL did not log a value, or nothing says in which unit a time is.
        """
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for column in _COLUMNS[self.topic.aggregate]:
            name = self.topic.column_of_table(column)
            if name not in self.columns:
                continue
            value = self.columns[name]
            if value == self.topic.unavailable_value:
                problems.append(Problem(self.path(column), "unavailable_value", _NOT_LOGGED))
            elif column in _TIMES and type(value) is int:
                found[column] = as_time(value, self.types.get(name))
                if found[column] is None:
                    problems.append(Problem(self.path(column), "time_unit", _NO_UNIT))
            else:
                found[column] = value
        _raise_any(problems)
        return found

    def id_of(self, column: Literal["id", "user_id"]) -> str:
        """The id in a column that the row must have.

        Raises:
            InvalidEventError: it is not a UUID.
        """
        try:
            return cast("str", _ID.validate_python(self.columns.get(self.topic.column_of_table(column))))
        except ValidationError:
            message = "must be a UUID" if self.where == "after" else f"must be a UUID: {_WHOLE_ROW}"
            raise InvalidEventError("invalid", [Problem(self.path(column), "id_format", message)]) from None

    def check_whole(self) -> None:
        """Check that a deleted row is logged whole, and not only its key with made-up values beside it.

        Debezium fills a NOT NULL column that was not logged with its default, or with 0 or an empty string.

        Raises:
            InvalidEventError: only the key was logged.
        """
        if self.topic.aggregate == "video":
            self.id_of("user_id")
            return
        problems = [Problem(self.path("username"), "missing", "shows that the row is whole")]
        try:
            if "account" in facets_of(self)[0]:
                return
        except InvalidEventError as error:
            problems = [*error.problems]
        raise InvalidEventError("invalid", [p._replace(message=f"{p.message}; {_WHOLE_ROW}") for p in problems])

    def version_of(self, column: str) -> int:
        """The version in a column of the table.

        Raises:
            InvalidEventError: it is not a version.
        """
        value = whole(self.columns.get(column))
        if type(value) is not int or not 1 <= value <= MAX_VERSION:
            message = f"must be a whole number from 1 to 2^62 - 1; {_NUMERIC}"
            raise InvalidEventError("invalid", [Problem(f"{self.where}.{column}", "version", message)])
        return value


def facets_of(row: CapturedRow) -> tuple[Facets, datetime | None]:
    """The facets that a row sets, with their values, and the time at which the row was created, if it says so.

    Raises:
        InvalidEventError: a column holds what no event may carry, or half of a facet is missing.
    """
    carried = row.carried()
    facets: Facets = {}
    problems: list[Problem] = []
    for facet, validator in _VALIDATORS[row.topic.aggregate].items():
        if carried.keys().isdisjoint(FACETS[row.topic.aggregate][facet]):
            continue
        try:
            facets[facet] = validator.validate_python(carried)
        except ValidationError as error:
            problems += _problems(row, facet, error)
    created_at = None
    if carried.get("created_at") is not None:
        try:
            created_at = _TIME.validate_python(carried["created_at"])
        except ValidationError as error:
            problems += _problems(row, "created_at", error)
    _raise_any(problems)
    set_progress(facets)
    return facets, created_at


def set_progress(facets: Facets) -> None:
    """Derive the progress from the status, if the row has no progress."""
    state = facets.get("state")
    if state is not None and state["progress"] is None:
        state["progress"] = 100 if state["status"] == "completed" else 0


def _problems(row: CapturedRow, facet: str, error: ValidationError) -> Iterator[Problem]:
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        column = str(found["loc"][0]) if found["loc"] else facet
        path = ".".join([row.path(column), *map(str, found["loc"][1:])])
        if found["type"] == "missing":
            others = ", ".join(name for name in FACETS[row.topic.aggregate][facet] if name != column)
            message = f"is missing: {facet} is set whole, so the table must have it too, or none of {others}"
            yield Problem(path, "missing", message)
        else:
            hint = f": {_NUMERIC}" if found["type"] in {"float_type", "int_type"} else ""
            yield Problem(path, found["type"], found["msg"] + hint)


def _raise_any(problems: list[Problem]) -> None:
    if problems:
        raise InvalidEventError("invalid", problems)
