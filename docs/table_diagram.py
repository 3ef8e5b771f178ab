"""`python -m docs.table_diagram` draws the tables, as the models declare them, into docs/tables.md."""

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql

from docs.page import write_part
from reelsync.models import ConsumerOffset, DeadLetter, ModelUsage, User, UserProfile, Video, VideoState
from reelsync.models.base import Base
from reelsync.models.facets import version_column

ROWS = (User, UserProfile, Video, ModelUsage, VideoState)
STATE = (ConsumerOffset, DeadLetter)
"""What the consumer needs to know for itself."""


def table_diagram(models: tuple[type[Base], ...]) -> str:
    """An entity-relationship diagram in Mermaid. A column is followed by its facet; versions of facets are left out."""
    lines = ["```mermaid", "erDiagram"]
    for model in models:
        lines += _relations(_table(model))
    for model in models:
        lines += [f"    {_table(model).name} {{", *_columns(model), "    }"]
    return "\n".join([*lines, "```"])


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - no model of ours is mapped to a join
    return table


def _relations(table: Table) -> list[str]:
    found = []
    for column in table.columns:
        for key in column.foreign_keys:
            parents = "|o" if column.nullable else "||"
            children = "o|" if column.primary_key else "o{"
            found.append(f'    {key.column.table.name} {parents}--{children} {table.name} : "{column.name}"')
    return found


def _columns(model: type[Base]) -> list[str]:
    merge = getattr(model, "__merge__", None)
    facet_of = {column: facet for facet, columns in merge.facets.items() for column in columns} if merge else {}
    versions = {version_column(facet) for facet in merge.facets} - {merge.version} if merge else set()
    shown = [column for column in _table(model).columns if column.name not in versions]
    return [_column(column, facet_of.get(column.name)) for column in shown]


def _column(column: Column[object], facet: str | None) -> str:
    kind = column.type.compile(postgresql.dialect()).lower()
    short = kind.replace("timestamp with time zone", "timestamptz").replace("double precision", "double")
    short = short.split("(")[0] if "," in short else short  # Mermaid takes no comma in a type
    keys = ["PK"] * column.primary_key + ["FK"] * bool(column.foreign_keys)
    parts = [short, column.name, ", ".join(keys), f'"{facet}"' if facet else ""]
    return f"        {' '.join(part for part in parts if part)}"


if __name__ == "__main__":
    write_part("tables.md", "rows", table_diagram(ROWS))
    write_part("tables.md", "state", table_diagram(STATE))
