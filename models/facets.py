"""How rows of a table merge: a declaration from which both the SQL upsert and the fold in memory are made.

A facet is a group of columns that one event always sets together, with a `<facet>_version` column of its own. For each
facet the higher version wins, and an equal one writes nothing. So the merge is commutative, associative and idempotent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from sqlalchemy import BigInteger, FromClause
from sqlalchemy.orm import MappedColumn, mapped_column

FORMER_OWNERS = "former_owners"


@dataclass(frozen=True)
class Merge:
    """The facets of one table.

    `version` names the column with the highest version seen; `updated_at` and the columns `with_version` follow it.
    """

    facets: Mapping[str, tuple[str, ...]]
    version: str = "version"
    with_version: tuple[str, ...] = ()
    owner: str | None = None
    """The column of these that says whose the row is. `former_owners` then holds whoever else was named as that."""
    key: str = "id"
    columns: tuple[str, ...] = field(init=False)
    """Every column that the merge sets, key first."""

    def __post_init__(self) -> None:
        facet_columns = tuple(column for columns in self.facets.values() for column in columns)
        versions = tuple(dict.fromkeys((*map(version_column, self.facets), self.version)))
        former = (FORMER_OWNERS,) if self.owner else ()
        columns = (self.key, *self.with_version, *former, *facet_columns, *versions, "created_at", "updated_at")
        object.__setattr__(self, "columns", columns)


class Merged(Protocol):
    """A mapped class whose rows are merged from events."""

    __table__: ClassVar[FromClause]
    __merge__: ClassVar[Merge]


def version_column(facet: str) -> str:
    """The name of the column that holds the version of `facet`."""
    return f"{facet}_version"


def facet_version() -> MappedColumn[Any]:
    """A `<facet>_version` column: 0 until an event sets the facet."""
    return mapped_column(BigInteger, server_default="0", default=0, sort_order=700)
