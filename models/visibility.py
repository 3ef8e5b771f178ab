"""Which rows a session shows: neither deleted rows nor placeholders, unless it is told to.

The conditions are added to every ORM SELECT of such a session, wherever the entity is in it (joins, aliases,
subqueries, eagerly loaded collections), so that no query can forget them.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from .mixins import SoftDeleteMixin
from .users import User
from .videos import Video

INCLUDE_DELETED = "include_deleted"
INCLUDE_PLACEHOLDERS = "include_placeholders"
"""Execution options of a statement or of a session."""

# `deleted_at IS NULL` and not `NOT is_deleted`: it is the condition of the partial indexes on users' names.
_NOT_DELETED = (with_loader_criteria(SoftDeleteMixin, lambda cls: cls.deleted_at.is_(None), include_aliases=True),)
_NO_PLACEHOLDERS = tuple(
    with_loader_criteria(model, model.version > 0, include_aliases=True) for model in (User, Video)
)


class VisibleRowsSession(Session):
    """A session whose SELECTs leave out deleted rows and placeholders.

    The execution options `include_deleted=True` and `include_placeholders=True`, of a statement or of the session, show
    them again. Writes are not affected, and neither is refreshing an object that the session has.
    """


@event.listens_for(VisibleRowsSession, "do_orm_execute")
def _leave_out_hidden_rows(state: ORMExecuteState) -> None:
    # Loads of relationships inherit the criteria of the statement that they follow.
    if not state.is_select or state.is_column_load or state.is_relationship_load:
        return
    options: list[Any] = []
    if not state.execution_options.get(INCLUDE_DELETED):
        options += _NOT_DELETED
    if not state.execution_options.get(INCLUDE_PLACEHOLDERS):
        options += _NO_PLACEHOLDERS
    if options:
        state.statement = state.statement.options(*options)
