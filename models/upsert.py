"""The merge in SQL, compiled from each table's declaration of its facets.

Each table has one statement, with all rows in one JSON parameter. So there is one prepared statement for any number of
rows, and the client needs a third of the CPU that an array for each column would cost.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.types import UserDefinedType

from .base import Base
from .facets import FORMER_OWNERS, Merge, version_column
from .usage import ModelUsage
from .users import User, UserProfile
from .videos import Video, VideoState

ROWS = "rows"
"""The name of the one parameter: a JSON array of objects, sorted by key. Absent members are NULL."""
_ZERO = literal_column("0", BigInteger)
_ERASED = "4611686018427387904"
"""The version from which on a row is erased: 2 ** 62."""


class JsonText(UserDefinedType[str]):
    """`json` whose text is sent unchanged, because it is encoded already."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_kw: object) -> str:
        """The name of the type in SQL."""
        return "JSON"


def compile_upsert(model: type[Base], merge: Merge) -> Insert:
    """`INSERT … SELECT … FROM json_to_recordset(:rows) … ON CONFLICT DO UPDATE`: per facet, the higher version wins.

    A row whose version is 0 is a placeholder: it is inserted where there is none, and changes nothing where there is.
    """
    table = table_of(model)
    rows = _rows(table, merge.columns)
    incoming = insert(table).from_select(list(merge.columns), _select_rows(rows, table, merge))
    sent = incoming.excluded
    newer = {facet: sent[version_column(facet)] > table.c[version_column(facet)] for facet in merge.facets}
    highest = sent[merge.version] > table.c[merge.version]
    tied = and_(sent[merge.version] == table.c[merge.version], sent.updated_at > table.c.updated_at)
    earlier = sent.created_at < table.c.created_at
    changes: dict[str, ColumnElement[Any]] = {}
    for facet, columns in merge.facets.items():
        changes |= {name: case((newer[facet], sent[name]), else_=table.c[name]) for name in columns}
        changes[version_column(facet)] = func.greatest(table.c[version_column(facet)], sent[version_column(facet)])
    changes |= {name: case((highest, sent[name]), else_=table.c[name]) for name in merge.with_version}
    changes[merge.version] = func.greatest(table.c[merge.version], sent[merge.version])
    named: list[ColumnElement[bool]] = []
    if merge.owner:
        changes[FORMER_OWNERS], names_another = _owners(table, merge)
        named = [names_another]
    changes["updated_at"] = case((or_(highest, tied), sent.updated_at), else_=table.c.updated_at)
    changes["created_at"] = case(
        (table.c[merge.version] == _ZERO, sent.created_at), else_=func.least(table.c.created_at, sent.created_at)
    )
    return incoming.on_conflict_do_update(
        constraint=f"pk_{table.name}",
        set_=changes,
        where=and_(sent[merge.version] > _ZERO, or_(*newer.values(), highest, tied, earlier, *named)),
    )


def _owners(table: Table, merge: Merge) -> tuple[ColumnElement[Any], ColumnElement[bool]]:
    """The merged `former_owners`, and whether the sent row names an owner that the held one has not seen.

    They are the union of all owners that the row's events named, but for the present one; none once the row is erased.
    In SQL as it is, because SQLAlchemy would give the subquery a FROM of its own for `excluded`.
    """
    held, version, owner = table.name, merge.version, merge.owner
    is_erased = f"greatest({held}.{version}, excluded.{version}) >= {_ERASED}"
    none_differs = f"({held}.{owner} = excluded.{owner} AND excluded.{FORMER_OWNERS} IS NULL)"
    # The owner of a placeholder was named by a fact, not by an event of the row.
    known = f"array_append({held}.{FORMER_OWNERS}, CASE WHEN {held}.{version} > 0 THEN {held}.{owner} END)"
    coming = f"array_remove(array_append(excluded.{FORMER_OWNERS}, excluded.{owner}), NULL)"
    winner = f"CASE WHEN excluded.{version} > {held}.{version} THEN excluded.{owner} ELSE {held}.{owner} END"
    others = f"SELECT array_agg(DISTINCT id ORDER BY id) FROM unnest({known} || {coming}) AS o(id) WHERE id <> {winner}"  # noqa: S608 - names of columns
    merged = f"CASE WHEN {is_erased} THEN NULL WHEN {none_differs} THEN {held}.{FORMER_OWNERS} ELSE ({others}) END"
    has_new = f"NOT {is_erased} AND NOT {none_differs} AND NOT {coming} <@ {known}"
    return literal_column(merged, table.c[FORMER_OWNERS].type), literal_column(has_new, Boolean())


def compile_insert_once(model: type[Base]) -> Insert:
    """`INSERT … SELECT … FROM json_to_recordset(:rows) … ON CONFLICT DO NOTHING`: the first fact stays."""
    table = table_of(model)
    names = [name for name, target in table.c.items() if not target.computed]
    rows = _rows(table, names)
    return (
        insert(table)
        .from_select(names, select(*(rows.c[name] for name in names)))
        .on_conflict_do_nothing(constraint=f"pk_{table.name}")
    )


def compile_states() -> Insert:
    """`INSERT … SELECT … FROM json_to_recordset(:rows) JOIN videos … ON CONFLICT DO UPDATE`: the earliest time stays.

    It comes after the upsert of the videos, which has locked them, written or not. So if a video is erased, this either
    sees that and leaves it out, or whoever erases it waits, and deletes what is written here.
    """
    table, videos = table_of(VideoState), table_of(Video)
    names = list(table.c.keys())
    rows = _rows(table, names)
    is_live = videos.c.version < literal_column(_ERASED, BigInteger)
    live = rows.join(videos, and_(videos.c.id == rows.c.video_id, is_live))
    incoming = insert(table).from_select(names, select(*(rows.c[name] for name in names)).select_from(live))
    sent = incoming.excluded
    return incoming.on_conflict_do_update(
        constraint=f"pk_{table.name}",
        set_={name: sent[name] for name in names if not table.c[name].primary_key},
        where=sent["at"] < table.c["at"],
    )


def select_known(model: type[Base]) -> Select[Any]:
    """Select those of the ids `:ids` (a JSON array of strings) that the table has."""
    table = table_of(model)
    ids = func.json_array_elements_text(bindparam("ids", type_=JsonText())).table_valued("id").render_derived(name="r")
    key = table.c["id"]
    return select(key).where(key.in_(select(cast(ids.c.id, key.type))))


def table_of(model: type[Base]) -> Table:
    """The table of a mapped class.

    Raises:
        TypeError: it is mapped to something else.
    """
    table = model.__table__
    if not isinstance(table, Table):
        message = f"{model.__name__} is not mapped to a table"
        raise TypeError(message)
    return table


def _rows(table: Table, names: Iterable[str]) -> FromClause:
    columns = [column(name, table.c[name].type) for name in names]
    return (
        func.json_to_recordset(bindparam(ROWS, type_=JsonText()))
        .table_valued(*columns)
        .render_derived(name="r", with_types=True)
    )


def _select_rows(rows: FromClause, table: Table, merge: Merge) -> Select[Any]:
    """The rows, with 0 for a version that was not sent and its default for a NOT NULL column of a facet not set.

    The database checks NOT NULL before it looks for a conflict, so even a row that will not be inserted needs them.
    """
    versions = {version_column(facet) for facet in merge.facets} | {merge.version}
    facet_of = {name: facet for facet, columns in merge.facets.items() for name in columns}

    def value_of(name: str) -> ColumnElement[Any]:
        sent = rows.c[name]
        if name in versions:
            return func.coalesce(sent, _ZERO)
        if table.c[name].nullable or name not in facet_of:
            return sent
        version = rows.c[version_column(facet_of[name])]
        return case((func.coalesce(version, _ZERO) == _ZERO, _default(table.c[name])), else_=sent)

    return select(*(value_of(name).label(name) for name in merge.columns))


def _default(target: Column[Any]) -> ColumnElement[Any]:
    default = target.server_default
    text = getattr(default, "arg", None)
    if text is None:
        message = f"{target} is NOT NULL and in a facet, so it needs a server default"
        raise TypeError(message)
    return literal_column(f"'{text}'" if isinstance(text, str) else str(text), target.type)


UPSERTS: dict[type[Base], Insert] = {
    model: compile_upsert(model, model.__merge__) for model in (User, UserProfile, Video)
}
INSERT_MODEL_USAGE = compile_insert_once(ModelUsage)
INSERT_VIDEO_STATES = compile_states()
"""The statements of a batch, for the tables in the order in which they refer to one another."""
